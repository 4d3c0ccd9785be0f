"""The rescued search with a model that fails, is slow, or refuses, and without any of that."""

import time

import pytest

from ragkit.errors import ModelUnavailable, TextTooLong
from ragkit.retrieval.rescue.ranking import distance
from ragkit.retrieval.rescue.search import NOT_RANKED, RescuedSearch
from tests.conftest import TEXTS
from tests.retrieval.rescue.conftest import make_rescue
from tests.retrieval.rescue.test_filling import new_vectors

QUESTION = "wool, fish or drinks in a bar, a shop or a restaurant"


class Wrapped:
    """The model, whose answers are counted, delayed, or fail."""

    def __init__(self, inner):
        self.inner, self.model = inner, inner.model
        self.texts: list[str] = []
        self.seconds, self.error = 0.0, None

    def embed_query(self, text):
        time.sleep(self.seconds)
        if self.error:
            raise self.error
        return self.inner.embed_query(text)

    def embed_documents(self, texts):
        self.texts += texts
        return self.inner.embed_documents(texts)


@pytest.fixture
def model(new_embedder):
    return Wrapped(new_embedder)


@pytest.fixture
def ask(rescued, model):
    service = RescuedSearch(rescued.engine, model, ["name"])

    def ask(question=QUESTION, limit=3, **changes):
        answer = service.search(rescued.new, make_rescue(rescued, **changes), None, question, limit)
        service.filling.wait()
        return answer

    return ask


def names(answer):
    return [row["name"] for row in answer.rows]


def test_the_order_is_that_of_the_new_model(ask, model):
    answer = ask()
    question = model.inner.embed_query(QUESTION)
    found = [TEXTS[0], TEXTS[1], TEXTS[3]]
    nearest = sorted(
        found, key=lambda text: distance("cosine", question, model.inner.embed_query(text))
    )
    assert names(answer) == [text.partition(" is a ")[0] for text in nearest]
    assert (answer.bought, answer.degraded) == (3, "")


def test_the_same_question_costs_nothing_the_second_time(ask, model, rescued):
    first = ask()
    assert sorted(model.texts) == sorted([TEXTS[0], TEXTS[1], TEXTS[3]])
    assert set(new_vectors(rescued)) == {1, 2, 4}
    again = ask()
    assert (names(again), again.bought) == (names(first), 0)
    assert len(model.texts) == 3


def test_no_more_texts_are_bought_than_the_plan_allows(ask, model):
    answer = ask(rerank=1)
    assert (answer.bought, len(model.texts), len(answer.rows)) == (1, 1, 3)
    assert ask(rerank=0).bought == 0


@pytest.mark.parametrize("error", [ModelUnavailable("gone"), RuntimeError("secret")])
def test_a_model_that_fails_leaves_the_order_of_full_text(ask, model, error, caplog):
    model.error = error
    if isinstance(error, RuntimeError):
        with pytest.raises(RuntimeError):
            ask()
        return
    answer = ask()
    assert len(answer.rows) == 3
    assert answer.degraded == NOT_RANKED
    assert "gone" in caplog.text


def test_a_model_that_is_slow_is_not_waited_for(ask, model):
    model.seconds = 5
    start = time.monotonic()
    answer = ask(seconds=0.2)
    assert time.monotonic() - start < 3
    assert (len(answer.rows), answer.degraded) == (3, NOT_RANKED)


def test_a_question_that_is_too_long_is_the_caller_s_fault(ask, model):
    model.error = TextTooLong("long")
    with pytest.raises(TextTooLong):
        ask()


def test_a_question_without_a_usable_word_has_no_answer(ask):
    answer = ask("the of and")
    assert (answer.rows, answer.bought, answer.degraded) == ([], 0, "")
