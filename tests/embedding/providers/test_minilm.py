import pytest

from ragkit.errors import PartialRefusal, TextTooLong
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
    with pytest.raises(PartialRefusal, match=r"302 tokens; .* takes 256") as error:
        embedder_of(MODEL).embed_documents(["a wing", "word " * 300, "a shock"])
    assert list(error.value.refused) == [1]
    assert error.value.vectors[2] @ embedder_of(MODEL).embed_query("a shock") > 0.99


def test_tokens_are_counted_as_the_model_counts_them():
    model = embedder_of(MODEL)
    text = "The unbelievably thin aerofoil, naïve \u2013 翼型."
    spans = model.token_spans(text)
    assert [text[start:end] for start, end in spans[:5]] == ["The", "un", "bel", "ie", "va"]
    assert len(model._tokenizer.encode(text).ids) == len(spans) + model.special_tokens
    room = model.model.max_tokens_per_text - model.special_tokens
    assert model.embed_query("a " * room).shape == (384,)
    with pytest.raises(TextTooLong, match="257"):
        model.embed_query("a " * (room + 1))
