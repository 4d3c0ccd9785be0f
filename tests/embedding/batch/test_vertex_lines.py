"""Lines of both generations of models, as Vertex AI documents them."""

import json

import pytest

from ragkit.embedding.batch.protocol import digest_of
from ragkit.embedding.batch.vertex_lines import read_answer, write_request
from ragkit.embedding.catalogue import find_model

OLDER, KEYED = find_model("text-embedding-005"), find_model("gemini-embedding-001")
PREFIXED = find_model("gemini-embedding-2")
TEXT = "Harbour “Grill”\n"
ID = digest_of(TEXT)


def test_requests_have_the_task_or_the_prefix_of_documents():
    assert json.loads(write_request(OLDER, ID, TEXT)) == {
        "content": TEXT, "task_type": "RETRIEVAL_DOCUMENT",
    }  # fmt: skip
    assert json.loads(write_request(KEYED, ID, TEXT)) == {
        "key": ID,
        "request": {
            "content": {"parts": [{"text": TEXT}]},
            "embed_content_config": {"task_type": "RETRIEVAL_DOCUMENT"},
        },
    }
    assert json.loads(write_request(PREFIXED, ID, TEXT))["request"] == {
        "content": {"parts": [{"text": f"title: none | text: {TEXT}"}]}
    }


def older(values, tokens=8, truncated=False, **other):
    statistics = {"token_count": tokens, "truncated": truncated}
    predictions = [{"embeddings": {"statistics": statistics, "values": values}}]
    return {"instance": {"content": TEXT}, "predictions": predictions, "status": "", **other}


def test_an_answer_without_a_key_is_known_by_its_text():
    result = read_answer(OLDER, older([0.1, 0.2]))
    assert (result.id, result.vector, result.tokens) == (ID, [0.1, 0.2], 8)


@pytest.mark.parametrize(
    "counted", [{"tokenCount": "8"}, {"usageMetadata": {"promptTokenCount": 8}}]
)
def test_an_answer_with_a_key(counted):
    line = {"key": ID, "status": "", "response": {"embedding": {"values": [0.1]}, **counted}}
    result = read_answer(KEYED, line)
    assert (result.id, result.vector, result.tokens) == (ID, [0.1], 8)


def test_a_text_that_was_cut_is_refused():
    keyed = {"embedding": {"values": [0.1]}, "usageMetadata": {"promptTokenCount": 2049}}
    for result in (
        read_answer(OLDER, older([0.1], truncated=True)),
        read_answer(OLDER, older([0.1], tokens=2049)),
        read_answer(KEYED, {"key": ID, "response": keyed}),
    ):
        assert (result.id, result.vector, result.is_refused) == (ID, None, True)
        assert result.tokens  # it is paid for


@pytest.mark.parametrize(
    ("status", "refused"),
    [('Bad Request: {"error": {"code": 400}}', True), ("INVALID_ARGUMENT: empty", True),
     ('{"error": {"code": 503}}', False), ("", False), (f"quotes {TEXT}", False)],
)  # fmt: skip
def test_a_text_without_a_vector_says_whether_it_was_refused_and_quotes_nothing(status, refused):
    for model, line in (
        (OLDER, {"instance": {"content": TEXT}, "predictions": [], "status": status}),
        (OLDER, {"instance": {"content": TEXT}, "predictions": None, "status": status}),
        (KEYED, {"key": ID, "response": None, "status": status}),
    ):
        result = read_answer(model, line)
        assert (result.id, result.vector, result.is_refused) == (ID, None, refused)
        assert result.error
        assert TEXT not in result.error


@pytest.mark.parametrize("line", [{}, {"instance": None, "predictions": [None]}, {"key": None}])
def test_a_line_that_says_nothing_is_of_no_text(line):
    for model in (OLDER, KEYED):
        result = read_answer(model, line)
        assert (result.vector, result.is_refused) == (None, False)
        assert result.id != ID
