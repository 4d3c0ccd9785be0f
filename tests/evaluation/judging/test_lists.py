import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable, SpaceNotReady
from ragkit.evaluation.judging import lists as module
from ragkit.evaluation.judging.lists import (
    Ahead,
    Lists,
    Row,
    make_lists,
    search,
)
from ragkit.evaluation.samples import require_filled
from ragkit.migration.schema import expansion
from tests.conftest import TEXTS

A, B = Row("1", "a", "text a"), Row("2", "b", "text b")


class TestLists:
    def test_the_same_rows_in_the_same_order_are_the_same(self):
        assert Lists([A, B], [A, B]).are_same
        assert not Lists([A, B], [B, A]).are_same
        assert not Lists([A], [A, B]).are_same

    def test_what_is_shown_counts_not_the_key(self):
        assert Lists([A], [Row("9", "a", "text a")]).are_same

    def test_without_an_old_list_nothing_is_the_same(self):
        assert not Lists(None, []).are_same

    def test_the_pool_has_each_row_once(self):
        assert Lists([A, B], [B]).pool == [A, B]
        assert Lists(None, [B]).pool == [B]


class TestOfATable:
    def test_both_models_search_their_column(self, filled, old_embedder, new_embedder):
        show = make_lists(
            filled, search(filled, filled.old, old_embedder.embed_query, 3),
            search(filled, filled.new, new_embedder.embed_query, 3), 3,
        )  # fmt: skip
        lists = show("q1", TEXTS[3])
        assert lists.old[0].text == lists.new[0].text == TEXTS[3]
        assert lists.old[0].label == "Bubbles"
        assert len(lists.old) == len(lists.new) == 3

    def test_lists_from_elsewhere_are_cut_and_looked_up(self, filled):
        show = make_lists(filled, lambda q, text: {"q1": ["4", "2", "1"]}[q], lambda q, t: ["6"], 2)
        lists = show("q1", "anything")
        assert [row.key for row in lists.old] == ["4", "2"]
        assert [row.text for row in lists.new] == [TEXTS[5]]

    def test_a_row_that_is_deleted_meanwhile_is_left_out(self, filled, amenities):
        with filled.engine.begin() as connection:
            connection.execute(sa.delete(amenities).where(amenities.c.id == 2))
        lists = make_lists(filled, None, lambda q, text: ["1", "2", "3"], 3)("q1", "")
        assert (lists.old, [row.key for row in lists.new]) == (None, ["1", "3"])

    def test_a_column_that_is_not_full_is_refused(self, migration):
        expansion.expand(migration)
        with pytest.raises(SpaceNotReady, match="has 0 of 6 vectors"):
            require_filled(migration)

    def test_a_full_column_is_fine(self, filled):
        require_filled(filled)


class TestAhead:
    def test_lists_are_ready_when_they_are_taken_and_made_once(self):
        made = []

        def show(question, text):
            made.append(question)
            return Lists([A], [B])

        ahead = Ahead(show)
        ahead.prepare({"q1": "", "q2": ""})
        assert ahead.take("q1", "") is ahead.take("q1", "")
        ahead.take("q2", "")
        assert made == ["q1", "q2"]
        ahead.close()

    def test_no_model_is_asked_by_two_threads(self):
        inside, most = [], []

        def show(question, text):
            inside.append(question)
            most.append(len(inside))
            time.sleep(0.01)
            inside.remove(question)
            return Lists([A], [B])

        ahead = Ahead(show)
        takers = [threading.Thread(target=ahead.take, args=(f"q{n}", "")) for n in range(8)]
        for taker in takers:
            taker.start()
        for taker in takers:
            taker.join()
        assert most == [1] * 8
        ahead.close()

    def test_an_error_comes_where_the_lists_are_taken_and_is_forgotten(self):
        answers = [ModelUnavailable("quota"), Lists([A], [B])]

        def show(question, text):
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        ahead = Ahead(show)
        ahead.prepare({"q1": ""})
        with pytest.raises(ModelUnavailable, match="quota"):
            ahead.take("q1", "")
        assert ahead.take("q1", "").new == [B]
        ahead.close()

    def test_a_model_that_hangs_is_not_waited_for(self, monkeypatch):
        monkeypatch.setattr(module, "LIST_SECONDS", 0.2)
        release = threading.Event()

        def show(question, text):
            release.wait(30)
            return Lists([A], [B])

        ahead = Ahead(show)
        with pytest.raises(ModelUnavailable, match=r"no lists for a question within 0\.2 s"):
            ahead.take("q1", "")
        release.set()
        ahead.close()
