import pytest
import sqlalchemy as sa

from ragkit.evaluation.judging.record.journal import Journal, append
from ragkit.evaluation.judging.record.lines import Scope
from ragkit.evaluation.judging.record.standing import read_judgements, select, typed_texts
from tests.conftest import with_plan
from tests.evaluation.judging.lines_of import SCOPE, pool, preference, relevance, typed, undo


def standing(*lines, gone=frozenset(), unreadable=()):
    return select(Journal(list(lines), list(unreadable)), SCOPE, gone)


def test_the_first_judge_of_a_question_counts_and_the_others_stay():
    lines = [preference("q1", "left", 1), preference("q1", "right", 2, "bo"), preference("q2")]
    judgements = standing(*lines)
    assert judgements.preferences == [lines[0], lines[2]]
    assert judgements.answers == lines


def test_what_is_taken_back_is_as_if_it_had_not_been():
    lines = [preference("q1", "left"), preference("q2", "left"), undo("q1"),
             preference("q1", "right")]  # fmt: skip
    assert standing(*lines).preferences == [lines[1], lines[3]]


def test_an_undo_is_for_its_own_judge_and_row_only():
    ana, bo = pool(judge="ana"), pool(judge="bo")
    judgements = standing(*ana, *bo, undo(row="2", judge="ana"))
    assert judgements.answers == [ana[0], ana[2], *bo]
    assert judgements.pools == [bo]


def test_the_last_answer_of_a_judge_who_answered_twice_counts():
    again = preference("q1", "right", 9)
    assert standing(preference("q1", "left"), again).preferences == [again]


def test_a_pool_counts_when_all_its_rows_are_judged_by_one():
    half = [relevance(row="1"), relevance(row="2", judge="bo"), relevance(row="3", judge="bo")]
    assert standing(*half).qrels == {}
    assert standing(*half, *pool("q2", relevant=("3",))).qrels == {"q2": {"1": 0, "2": 0, "3": 1}}


def test_pools_are_in_the_order_in_which_they_became_complete():
    first, second = pool("q1"), pool("q2")
    lines = [*first[:2], *second, first[2]]
    assert [each[0].question for each in standing(*lines).pools] == ["q2", "q1"]


def test_what_is_left_out_is_counted_by_reason_and_named():
    hotels = SCOPE.model_copy(update={"table": "public.hotels"})
    other = SCOPE.model_copy(update={"new_model": "c"})
    judgements = standing(
        preference("q1", scope=hotels), preference("q2", scope=hotels),
        preference("q3", scope=other), preference("q4"), preference("q5", new=("9", "8")),
        preference("q6", old=("9", "2")), gone={"9"}, unreadable=["ana.judge.jsonl line 4"],
    )  # fmt: skip
    assert [p.question for p in judgements.preferences] == ["q4"]
    assert judgements.describe_left_out() == (
        "left out: 2 of another table (public.hotels), 1 of other models (a in embedding, c in "
        "embedding_b), 2 of rows that are gone, such as '9', "
        "1 that cannot be read (ana.judge.jsonl line 4)"
    )


def test_typed_questions_are_those_of_the_table_whatever_the_models():
    other = SCOPE.model_copy(update={"table": "public.hotels"})
    same = SCOPE.model_copy(update={"new_model": "c"})
    lines = [typed("one"), typed("two", scope=other), typed("three", scope=same, judge="bo")]
    assert typed_texts(Journal(lines), SCOPE) == ["one", "three"]


class TestRead:
    @pytest.fixture
    def folder(self, tmp_path, migration):
        scope = Scope.of(migration)
        for n, rows in enumerate([("1", "2"), ("3", "4"), ("5", "6")]):
            append(tmp_path, preference(f"q{n}", second=n, scope=scope, old=rows, new=rows))
        return tmp_path

    def test_all_of_them_where_nothing_changed(self, folder, migration):
        judgements = read_judgements(folder, migration)
        assert [p.question for p in judgements.preferences] == ["q0", "q1", "q2"]
        assert judgements.left_out == {}

    def test_rows_that_are_gone_from_the_table(self, folder, migration, amenities, caplog):
        with migration.engine.begin() as connection:
            connection.execute(sa.delete(amenities).where(amenities.c.id == 4))
        judgements = read_judgements(folder, migration)
        assert [p.question for p in judgements.preferences] == ["q0", "q2"]
        assert "left out: 1 of rows that are gone, such as '4'" in caplog.text

    def test_another_pair_of_models(self, folder, migration):
        other = with_plan(migration, {"new.model": "wordllama-64"})
        assert read_judgements(folder, other).preferences == []
        assert read_judgements(folder, other).left_out.popitem()[1] == 3
