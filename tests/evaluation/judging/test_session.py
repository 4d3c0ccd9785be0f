"""What a judge meets, from the first question to the end."""

import json
import re

import pytest
import sqlalchemy as sa

from ragkit.errors import ModelUnavailable
from ragkit.evaluation.judging import session as module
from ragkit.evaluation.judging.record.agreement import ONE_KEY
from ragkit.evaluation.judging.record.standing import read_judgements
from tests.conftest import TEXTS
from tests.evaluation.judging.conftest import NEW_ROWS, OLD_ROWS, press


def better(session, side):
    """The key for the side on which that model's list stands."""
    state = session.handle({})
    first = TEXTS[int({"old": OLD_ROWS, "new": NEW_ROWS}[side][0]) - 1]
    return "left" if state["left"][0]["text"] == first else "right"


class TestPairs:
    def test_answers_are_kept_at_once_and_mean_what_stood_there(self, bench, migration):
        session = bench.session()
        for side in ("new", "old", "new"):
            press(session, better(session, side))
        press(session, "equal", "neither")
        kept = read_judgements(bench.folder, migration).preferences
        assert [p.preferred for p in kept] == ["new", "old", "new", None, None]
        assert {(p.judge, p.old, p.new) for p in kept} == {("ana", (*OLD_ROWS,), (*NEW_ROWS,))}

    def test_the_order_is_not_that_of_the_file(self, bench):
        session = bench.session()
        press(session, *["left"] * 12)
        asked = [a.question for a in session.view().answers]
        assert sorted(asked) == sorted(f"q{n}" for n in range(12))
        assert asked != sorted(asked, key=lambda q: int(q[1:]))

    def test_the_screen_does_not_tell_which_is_which(self, bench, migration):
        """The new model's list stands left about as often as right, and no other word tells."""
        session, sides = bench.session(questions=60), []
        for _ in range(60):
            sides.append(better(session, "new"))
            state = session.handle({})
            shown = {name: state[name] for name in ("turn", "question", "left", "right")}
            assert not re.search(r"new|old|embedding|\bkey\b", json.dumps(shown))
            assert all(set(row) == {"label", "text", "both"} for row in state["left"])
            press(session, "equal")
        assert 15 < sides.count("left") < 45

    def test_rows_of_both_lists_are_marked(self, bench):
        state = press(bench.session())
        assert [row["both"] for row in state["left"]] == [False, True, False]

    def test_a_later_session_goes_on_where_the_first_was(self, bench):
        first = bench.session()
        then = press(first, "left", "right", "equal")
        again = press(bench.session())
        assert again["turn"] == then["turn"]
        assert (again["judged"], again["remaining"]) == (3, 9)
        assert again["bar"] == then["bar"]

    def test_a_second_key_press_does_not_answer_the_next_question(self, bench):
        session = bench.session()
        turn = press(session)["turn"]
        for _ in range(3):
            state = session.handle({"answer": "left", "turn": turn})
        assert state["judged"] == 1
        assert state["turn"] != turn

    def test_undo_shows_the_last_question_again(self, bench):
        session = bench.session()
        second = press(session, "left")
        press(session, "left")
        state = session.handle({"undo": True})
        assert (state["turn"], state["judged"]) == (second["turn"], 1)
        state = session.handle({"undo": True})
        assert (state["judged"], state["can_undo"]) == (0, False)
        assert session.handle({"undo": True})["judged"] == 0

    def test_the_same_lists_are_equal_without_asking_and_are_counted(self, bench, migration):
        """Of every question but two."""
        session = bench.session(new=lambda q: NEW_ROWS if q in ("q3", "q7") else OLD_ROWS)
        state = press(session, "left")
        state = press(session, "left")
        assert (state["judged"], state["same"], state["remaining"]) == (2, 10, 0)
        assert state["question"] == ""
        kept = read_judgements(bench.folder, migration).preferences
        assert [p.value for p in kept if not p.asked] == [0.0] * 10
        assert session.view().progress.test.n == 12

    def test_undo_takes_back_what_was_asked_not_what_was_passed_over(self, bench):
        session = bench.session(new=lambda q: NEW_ROWS if q in ("q3", "q7") else OLD_ROWS)
        press(session, "left", "left")
        state = session.handle({"undo": True})
        assert (state["judged"], state["same"], state["remaining"]) == (1, 10, 1)

    def test_passing_over_many_is_told_and_goes_on(self, bench, monkeypatch):
        monkeypatch.setattr(module, "PASS_SECONDS", 0.0)
        session = bench.session(new=lambda q: OLD_ROWS, questions=3)
        states = [session.handle({}) for _ in range(4)]
        assert [state["busy"] for state in states] == [True, True, True, False]
        assert states[-1]["same"] == 3

    def test_the_interval_and_the_outlook_follow_each_answer(self, bench):
        session = bench.session(questions=80)
        widths, state = [], press(session)
        assert state["outlook"].startswith("To decide:")
        while state["decided"] == "open":
            state = press(session, better(session, "new"))
            widths.append(state["bar"]["high"] - state["bar"]["low"])
        assert widths[-1] < widths[0]
        assert state["decided"] == "yes"
        assert state["bar"]["limit"] == 45
        assert state["bar"]["low"] >= state["bar"]["limit"]
        assert state["outlook"].endswith("not worse than −10 points. You may stop")


class TestRows:
    def test_each_row_of_both_lists_once_then_the_next_question(self, bench, migration):
        session, seen = bench.session(pooled=True), []
        state = press(session)
        first = state["question"]
        while state["question"] == first:
            seen.append((state["row"]["text"], state["place"]))
            state = press(session, "relevant" if "shop" in state["row"]["text"] else "not")
        assert {text for text, _ in seen} == {TEXTS[n] for n in range(5)}
        assert [place for _, place in seen] == [f"{n} of 5" for n in range(1, 6)]
        qrels = read_judgements(bench.folder, migration).qrels
        assert list(qrels.values()) == [{"1": 0, "2": 1, "3": 0, "4": 0, "5": 0}]
        assert session.view().progress.test.mean == pytest.approx(1 / 3)

    def test_where_the_old_model_is_dead_the_new_ones_rows_are_judged(self, bench, migration):
        session = bench.session(old=None, pooled=True, questions=2)
        state = press(session, *["relevant"] * 6)
        assert (state["question"], state["remaining"]) == ("", 0)
        assert session.view().progress.figure.startswith("Precision@3 of the new model: 1.00")
        assert session.files.qrels.read_text().count("\n") == 6

    def test_a_session_goes_on_within_a_question(self, bench):
        press(bench.session(pooled=True), "relevant", "not")
        state = press(bench.session(pooled=True))
        assert (state["place"], state["judged"]) == ("3 of 5", 2)

    def test_undo_goes_back_one_row(self, bench):
        session = bench.session(pooled=True)
        second = press(session, "relevant")
        press(session, "not")
        assert session.handle({"undo": True})["turn"] == second["turn"]

    def test_a_question_without_any_row_is_a_miss_that_nobody_is_asked(self, bench):
        session = bench.session(old=None, new=lambda q: [], pooled=True, questions=3)
        state = press(session)
        assert (state["same"], state["question"]) == (3, "")
        assert session.view().progress.test.mean == 0
        assert not session.files.qrels.exists()

    def test_both_ways_of_judging_do_not_mix(self, bench):
        press(bench.session(), "left", "left")
        state = press(bench.session(pooled=True), "relevant")
        assert (state["judged"], state["remaining"]) == (1, 12)


class TestSeveralJudges:
    def test_two_at_once_share_the_work_and_are_compared(self, bench, migration):
        ana, bo = bench.session("ana", 40), bench.session("bo", 40)
        states = [press(ana), press(bo)]
        while any(state["question"] for state in states):
            for place, session in enumerate((ana, bo)):
                if states[place]["question"]:
                    states[place] = press(session, better(session, "new"))
        answers = read_judgements(bench.folder, migration).answers
        both = {a.question for a in answers if a.judge == "ana"} & {
            a.question for a in answers if a.judge == "bo"
        }
        assert {a.question for a in answers} == {f"q{n}" for n in range(40)}
        assert 2 < len(both) < 20
        assert len(answers) == 40 + len(both)
        remark = f"{len(both)} questions have several judges: 100% of their answers are the same"
        assert press(ana)["remarks"] == [remark]

    def test_a_judge_who_only_ever_presses_one_key_is_named(self, bench):
        state = press(bench.session(questions=30), *["left"] * ONE_KEY)
        assert state["remarks"] == ["ana only ever pressed “left”: were the lists looked at?"]

    def test_two_windows_of_one_judge_keep_one_answer_each(self, bench, migration):
        here, there = bench.session(), bench.session()
        turn = press(here)["turn"]
        assert press(there)["turn"] == turn
        here.handle({"answer": "left", "turn": turn})
        there.handle({"answer": "right", "turn": turn})
        (kept,) = read_judgements(bench.folder, migration).preferences
        assert kept.answer == "right"
        assert press(here)["turn"] == press(there)["turn"]


class TestWhatGoesWrong:
    def test_judgements_of_rows_that_are_gone_are_asked_again(self, bench, migration, amenities):
        press(bench.session(), "left")
        with migration.engine.begin() as connection:
            connection.execute(sa.delete(amenities).where(amenities.c.id == 4))
        state = press(bench.session(new=lambda q: ["5", "2", "6"], gone=frozenset({"4"})))
        assert (state["judged"], state["remaining"]) == (0, 12)
        assert state["remarks"] == ["Left out: 1 of rows that are gone, such as '4'"]

    def test_a_model_that_fails_is_told_and_the_next_try_works(self, bench):
        failures = [ModelUnavailable("the quota is used up")]

        def old(question):
            if failures:
                raise failures.pop()
            return OLD_ROWS

        session = bench.session(old=old)
        assert session.handle({}) == {"busy": False, "error": "the quota is used up"}
        assert session.handle({})["question"]

    @pytest.mark.parametrize(
        ("message", "says"),
        [
            ({"answer": "best"}, "expected an answer, undo or add, got answer"),
            ({"drop": True}, "expected an answer, undo or add, got drop"),
            ({"undo": "yes"}, "expected an answer, undo or add, got undo"),
            ({"add": "x" * 3000}, "expected up to 500 questions of up to 2,000 characters"),
            ({"add": "\n".join(map(str, range(600)))}, "expected up to 500 questions"),
        ],
    )
    def test_a_message_that_is_none_changes_nothing(self, bench, message, says):
        session = bench.session()
        press(session)
        assert says in session.handle(message)["error"]
        assert not bench.folder.exists()

    def test_another_answer_than_the_keys_is_refused(self, bench):
        session = bench.session()
        turn = press(session)["turn"]
        state = session.handle({"answer": "relevant", "turn": turn})
        assert state["error"] == "expected one of left, right, equal, neither, got 'relevant'"
        assert press(session)["judged"] == 0

    def test_a_window_that_waits_for_another_is_told(self, bench, monkeypatch):
        monkeypatch.setattr(module, "PASS_SECONDS", 0.05)
        session = bench.session()
        with session._lock:
            assert session.handle({}) == {"busy": True, "error": ""}


class TestTypedIn:
    def test_a_session_without_questions_takes_them(self, bench, migration):
        session = bench.session(questions=0)
        assert press(session)["question"] == ""
        state = session.handle({"add": "where is the bar?\n\nwool\n"})
        assert state["question"] in ("where is the bar?", "wool")
        assert state["remaining"] == 2
        press(session, "left")
        assert len(read_judgements(bench.folder, migration).preferences) == 1

    def test_they_are_there_for_others_and_later_once(self, bench):
        bench.session(questions=3).handle({"add": "wool\nquestion 1"})
        assert press(bench.session("bo", 3))["remaining"] == 4
