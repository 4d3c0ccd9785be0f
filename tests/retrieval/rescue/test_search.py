"""The rescued search with a model that fails, is slow, or refuses, and without any of that."""

import time

import numpy as np
import pytest

from ragkit.errors import DatabaseError, ModelUnavailable, PartialRefusal, TextTooLong
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.candidates.ranking import distance
from ragkit.retrieval.rescue.filling import Bought, write
from ragkit.retrieval.rescue.plan import read_plan, write_plan
from ragkit.retrieval.rescue.search import (
    NO_FULL_TEXT,
    NOT_RANKED,
    PARTLY_RANKED,
    RescuedSearch,
)
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


@pytest.mark.parametrize("is_small", [False, True])
def test_the_same_question_goes_no_deeper_the_second_time(ask, model, is_small):
    """Of three rows that have its words, two may be bought."""
    assert ask(rerank=2, is_small=is_small).bought == 2
    ask("a train between terminals", rerank=2, is_small=is_small)
    bought = list(model.texts)
    assert ask(rerank=2, is_small=is_small).bought == 0
    assert model.texts == bought


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


def test_what_a_slow_model_answers_in_the_end_is_not_paid_for_again(ask, model):
    model.seconds = 0.5
    assert ask(seconds=0.1).degraded == NOT_RANKED
    model.seconds = 0.0
    deadline = time.monotonic() + 5
    while not model.texts:  # the late answer
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.2)
    paid = len(model.texts)
    assert (ask().bought, len(model.texts)) == (0, paid)


def test_a_question_that_is_too_long_is_the_caller_s_fault(ask, model):
    model.error = TextTooLong("long")
    with pytest.raises(TextTooLong):
        ask()


def test_a_question_without_a_usable_word_finds_rows_that_have_their_vector(ask):
    """Of a large table too, which has no other way to answer it."""
    answer = ask("the of and")
    assert (answer.rows, answer.bought, answer.degraded) == ([], 0, "")
    ask("a train between terminals")
    answer = ask("the of and")
    assert (names(answer), answer.bought) == (["Skytrack"], 0)


def test_a_text_that_changes_while_it_is_embedded_gets_no_vector(ask, model, rescued):
    """A row is read twice for an answer: the text of the second time is not what was embedded."""
    embed = model.embed_documents

    def embed_and_edit(texts):
        vectors = embed(texts)
        with rescued.engine.begin() as connection:
            connection.exec_driver_sql(
                f"update {rescued.quoted_table} set content = 'A drink.' where id = 4"
            )
        return vectors

    model.embed_documents = embed_and_edit
    ask()
    assert set(new_vectors(rescued)) == {1, 2}


def test_vectors_that_cannot_be_written_are_not_paid_for_again(ask, model, rescued):
    with rescued.engine.begin() as app:
        app.exec_driver_sql(f"select from {rescued.quoted_table} for update")
        first, again = ask(), ask()
    assert (first.bought, again.bought, len(model.texts)) == (3, 0, 3)
    assert names(again) == names(first)


def test_a_text_that_the_model_refuses_is_told(ask, model):
    def refuse(texts):
        raise PartialRefusal({0: "long"}, model.inner.embed_documents(texts))

    model.embed_documents = refuse
    answer = ask()
    assert (len(answer.rows), answer.bought, answer.degraded) == (3, 2, PARTLY_RANKED)


def test_a_vector_that_is_0_hides_no_row(ask, rescued):
    zero = Bought(["1", "2"], TEXTS[:2], np.zeros((2, rescued.new.space.dimension), np.float32))
    assert write(rescued.engine, rescued.new, make_rescue(rescued), zero) == 2
    assert len(ask().rows) == 3


def test_the_service_s_limit_goes_before_the_plan_s(rescued, model):
    model.seconds = 5
    service = RescuedSearch(rescued.engine, model, ["name"], max_seconds=0.2)
    start = time.monotonic()
    plan = make_rescue(rescued, seconds=60.0)
    assert service.search(rescued.new, plan, None, QUESTION, 3).degraded == NOT_RANKED
    assert time.monotonic() - start < 3


class TestWithBridge:
    @pytest.fixture
    def bridged(self, rescued, model):
        shape = rescued.new.space.dimension, rescued.old.space.dimension
        bridge = Bridge("ridge", 9, np.eye(*shape, dtype=np.float32))
        service = RescuedSearch(rescued.engine, model, ["name"])

        def ask(**changes):
            with rescued.engine.begin() as connection:
                plan = make_rescue(rescued, **changes)
                write_plan(connection, rescued.new, plan, rescued.plan.old.column, bridge)
                plan = read_plan(connection, rescued.new)
            answer = service.search(rescued.new, plan, rescued.old, QUESTION, 50)
            service.filling.wait()
            return answer

        return ask

    def test_the_vectors_serve_alone_where_full_text_fails(self, bridged):
        answer = bridged(language="nonsense")
        assert len(answer.rows) == len(TEXTS) + 1
        assert answer.degraded == NO_FULL_TEXT

    def test_full_text_serves_alone_where_the_old_column_is_gone(self, bridged, rescued, caplog):
        with rescued.engine.begin() as connection:
            connection.exec_driver_sql(f"alter table {rescued.quoted_table} drop column embedding")
        assert len(bridged().rows) == 3
        assert "embedding does not exist" in caplog.text

    def test_nothing_is_left_where_all_fails(self, bridged, model):
        model.error = ModelUnavailable("gone")
        with pytest.raises(DatabaseError, match="neither the full text search nor the model"):
            bridged(language="nonsense")

    @pytest.mark.parametrize("text", ["", "  \n"])
    def test_a_text_without_a_word_is_not_sent(self, bridged, rescued, model, text):
        with rescued.engine.begin() as connection:
            connection.exec_driver_sql(
                f"update {rescued.quoted_table} set content = %s where id = 3", (text,)
            )
        assert len(bridged().rows) == len(TEXTS) + 1
        assert text not in model.texts
        assert set(new_vectors(rescued)) == {1, 2, 4, 5, 6}
