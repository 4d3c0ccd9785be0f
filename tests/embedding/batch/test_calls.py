"""What a file of answers holds that is no answer."""

import json
from functools import partial

import pytest

from ragkit.embedding.batch import genai
from ragkit.embedding.batch.calls import Calls
from ragkit.embedding.batch.openai import OpenAiBatches
from ragkit.embedding.batch.vertex_lines import read_answer
from ragkit.embedding.catalogue import find_model
from ragkit.errors import ModelBusy

MODEL = find_model("text-embedding-005")
READERS = {
    "openai": OpenAiBatches(find_model("text-embedding-3-small"), None, "", lambda _: None)._read,
    "genai": genai._read,
    "vertex": partial(read_answer, MODEL),
    "keyed": partial(read_answer, find_model("gemini-embedding-001")),
}
ODD = [
    None, [1], "x", 7, {}, {"error": "x"}, {"response": "x"}, {"predictions": 7},
    {"custom_id": "a", "response": {"status_code": 200, "body": {"data": [None]}}},
    {"custom_id": "a", "response": {"status_code": 200, "body": {"data": [{"embedding": "***"}]}}},
    {"key": "a", "response": {"embedding": {"values": [1.0]}, "tokenCount": "many"}},
    {"key": "a", "response": {"embedding": {"values": [1.0]}, "usageMetadata": "x"}},
    {"instance": "a", "predictions": [{"embeddings": {"values": [1.0], "statistics": 7}}]},
    {"predictions": [{"embeddings": {"values": [1.0], "statistics": {"token_count": "x"}}}]},
]  # fmt: skip


def answers(text, read):
    calls = Calls(MODEL, (), "KEY")
    return list(calls.answers(lambda path: path.write_text(text, "utf-8"), read))


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("odd", ODD, ids=str)
def test_a_line_that_is_no_answer_takes_none_of_the_others_with_it(reader, odd):
    good = answers(json.dumps(odd) + "\n\n" + json.dumps(odd), READERS[reader])
    assert len(good) == 2
    assert all(not result.is_refused for result in good)
    for result in good:
        assert result.vector is None or result.id != "a" or result.vector == [1.0]


def test_a_file_that_breaks_off_is_read_again():
    with pytest.raises(ModelBusy, match="broke off"):
        answers('{"key": "a"}\n{"key": "b', READERS["genai"])
