import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.embedders.plugin import PluginEmbedder
from ragkit.errors import ModelBusy, ModelUnavailable, WrongDimension
from ragkit.migration.asking import ask
from tests.stand_ins.faulty import Faulty

TEXTS = ["one", "two", "three", "four", "five"]


def embedder(faults=(), refuses=None) -> PluginEmbedder:
    made = PluginEmbedder("tests.stand_ins.faulty:Faulty")
    made._embeddings = Faulty(faults, refuses)
    return made


def test_all_is_well():
    found = ask(embedder(), TEXTS, 1)
    assert sorted(found.vectors) == [0, 1, 2, 3, 4]
    assert found.refused == {}


@pytest.mark.parametrize("fault", [429, 500, 503, "drop"])
def test_a_busy_model_is_asked_again(fault):
    found = ask(embedder([fault, fault]), TEXTS, 10)
    assert len(found.vectors) == 5


def test_and_given_up_after_the_patience():
    with pytest.raises(ModelBusy, match="429"):
        ask(embedder([429] * 50), TEXTS, 0.5)


@pytest.mark.parametrize("status", [401, 402, 403, 404])
def test_what_concerns_every_row_stops_at_once_and_blames_none(status):
    model = embedder([status])
    with pytest.raises(ModelUnavailable, match=str(status)) as caught:
        ask(model, TEXTS, 10)
    assert "canary" not in str(caught.value)
    assert not isinstance(caught.value, ModelBusy)


def test_a_wrong_dimension_concerns_every_row():
    with pytest.raises(WrongDimension, match="63"):
        ask(embedder(["dimension"]), TEXTS, 1)


@pytest.mark.parametrize("fault", ["nan", "fewer", "ragged", "nothing"])
def test_a_bad_answer_is_asked_for_again_in_halves(fault):
    found = ask(embedder([fault]), TEXTS, 1)
    assert len(found.vectors) == 5


def test_a_refused_row_stands_alone():
    found = ask(embedder(refuses="hre"), TEXTS, 1)
    assert sorted(found.vectors) == [0, 1, 3, 4]
    assert list(found.refused) == [2]
    assert "400" in found.refused[2]


def test_a_model_that_refuses_everything_is_unavailable_and_no_row_is_blamed():
    with pytest.raises(ModelUnavailable, match="refuses every text"):
        ask(embedder([400] * 50), TEXTS, 1)


def test_a_batch_of_bad_rows_alone_is_set_aside_all_the_same():
    found = ask(embedder(refuses="x"), ["x1", "x2"], 1)
    assert sorted(found.refused) == [0, 1]


@given(st.lists(st.text("ab ", min_size=1, max_size=4), min_size=1, max_size=12))
def test_every_place_is_answered_or_refused_and_never_both(texts):
    found = ask(embedder(refuses="b"), texts, 1)
    assert set(found.vectors) | set(found.refused) == set(range(len(texts)))
    assert set(found.refused) == {i for i, text in enumerate(texts) if "b" in text}
    assert set(found.vectors).isdisjoint(found.refused)
