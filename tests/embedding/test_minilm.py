import pytest

from ragkit.errors import TextTooLong
from tests.conftest import embedder_of

MODEL = "all-minilm-l6-v2"


def test_minilm_reproduces_the_example_of_its_model_card():
    """Source: https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2."""
    embedder = embedder_of(MODEL)
    person = embedder.embed_query("That is a happy person")
    assert person @ embedder.embed_query("That is a very happy person") == pytest.approx(
        0.943, abs=0.01
    )
    assert person @ embedder.embed_query("Today is a sunny day") == pytest.approx(0.257, abs=0.02)


def test_a_text_above_the_limit_is_refused_and_not_truncated():
    with pytest.raises(TextTooLong, match="256"):
        embedder_of(MODEL).embed_query("word " * 300)
