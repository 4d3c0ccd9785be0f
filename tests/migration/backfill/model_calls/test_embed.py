import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.errors import ModelBusy, ModelUnavailable, WrongDimension
from ragkit.migration.backfill.model_calls.embed import EmbeddingResult, embed_texts
from tests.stand_ins.faulty import faulty_embedder

TEXTS = ["one", "two", "three", "four", "five"]


def test_every_text_gets_a_vector():
    result = embed_texts(faulty_embedder(), TEXTS, 1)
    assert sorted(result.vectors) == [0, 1, 2, 3, 4]
    assert result.refused == {}


@pytest.mark.parametrize("fault", [429, 500, 503, "drop"])
def test_a_busy_model_is_retried(fault):
    result = embed_texts(faulty_embedder([fault, fault]), TEXTS, 10)
    assert len(result.vectors) == 5


def test_a_model_that_stays_busy_is_an_error():
    with pytest.raises(ModelBusy, match="429"):
        embed_texts(faulty_embedder([429] * 50), TEXTS, 0.5)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_an_error_of_all_rows_is_raised_at_once_and_refuses_none(status):
    with pytest.raises(ModelUnavailable, match=str(status)) as error:
        embed_texts(faulty_embedder([status]), TEXTS, 10)
    assert "canary" not in str(error.value)
    assert not isinstance(error.value, ModelBusy)


def test_a_wrong_dimension_is_an_error_of_all_rows():
    with pytest.raises(WrongDimension, match="63"):
        embed_texts(faulty_embedder(["dimension"]), TEXTS, 1)


@pytest.mark.parametrize("fault", ["nan", "fewer", "ragged", "nothing"])
def test_a_batch_with_bad_vectors_is_embedded_again_in_halves(fault):
    result = embed_texts(faulty_embedder([fault]), TEXTS, 1)
    assert len(result.vectors) == 5


def test_only_the_refused_row_has_no_vector():
    result = embed_texts(faulty_embedder(refused_part="hre"), TEXTS, 1)
    assert sorted(result.vectors) == [0, 1, 3, 4]
    assert list(result.refused) == [2]
    assert "400" in result.refused[2]


def test_a_model_that_refuses_everything_is_unavailable_and_refuses_no_row():
    with pytest.raises(ModelUnavailable, match="refuses every text"):
        embed_texts(faulty_embedder([400] * 50), TEXTS, 1)


@pytest.mark.parametrize("fault", [400, "nan", "error"])
def test_a_model_that_fails_for_a_moment_refuses_no_row(fault):
    """The batch, its half, a text that is alone, and the first control text."""
    result = embed_texts(faulty_embedder([fault] * 4), TEXTS, 5)
    assert (len(result.vectors), result.refused) == (5, {})


def test_no_text_asks_nothing():
    embedder = faulty_embedder([401])
    assert embed_texts(embedder, [], 1) == EmbeddingResult()


def test_every_row_of_a_batch_can_be_refused():
    result = embed_texts(faulty_embedder(refused_part="x"), ["x1", "x2"], 1)
    assert sorted(result.refused) == [0, 1]


@given(st.lists(st.text("ab ", min_size=1, max_size=4), min_size=1, max_size=12))
def test_every_text_has_a_vector_or_a_refusal_and_never_both(texts):
    result = embed_texts(faulty_embedder(refused_part="b"), texts, 1)
    assert set(result.vectors) | set(result.refused) == set(range(len(texts)))
    assert set(result.refused) == {i for i, text in enumerate(texts) if "b" in text}
    assert set(result.vectors).isdisjoint(result.refused)
