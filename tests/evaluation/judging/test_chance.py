from collections import Counter

import pytest
from scipy.stats import binomtest, chisquare

from ragkit.evaluation.judging.chance import SHARED, draw, is_shared, left_side, shuffled

QUESTIONS = [f"q{n}" for n in range(400)]


def test_a_later_session_draws_the_same_and_another_seed_another():
    assert draw(QUESTIONS, 1, "ana") == draw(reversed(QUESTIONS), 1, "ana")
    assert draw(QUESTIONS, 1, "ana") != draw(QUESTIONS, 2, "ana")


def test_questions_that_come_later_leave_the_order_of_the_others():
    more = draw([*QUESTIONS, "later", "latest"], 1, "ana")
    assert [q for q in more if q in QUESTIONS] == draw(QUESTIONS, 1, "ana")


def test_every_question_is_as_likely_to_come_first():
    first = Counter(draw(QUESTIONS[:8], seed, "ana")[0] for seed in range(4000))
    assert chisquare([first[q] for q in QUESTIONS[:8]]).pvalue > 0.001


def test_two_judges_meet_in_the_shared_questions_and_seldom_else():
    """In their first eighty of 400, as two who judge at once."""
    ana, bo = (draw(QUESTIONS, 1, judge)[:80] for judge in ("ana", "bo"))
    shared = {q for q in QUESTIONS if is_shared(q, 1)}
    assert len(QUESTIONS) / SHARED == pytest.approx(len(shared), rel=0.3)
    both = set(ana) & set(bo)
    assert len(both & shared) > 8
    assert [q for q in ana if q in both & shared] == [q for q in bo if q in both & shared]
    of_their_own = len(set(ana) - shared)
    assert len(both - shared) < of_their_own / 2


def test_left_and_right_are_a_coin_and_each_judge_has_one():
    sides = [left_side(q, 1, "ana") for q in QUESTIONS]
    assert binomtest(sides.count("new"), len(sides)).pvalue > 0.001
    alike = sum(side == left_side(q, 1, "bo") for q, side in zip(QUESTIONS, sides, strict=True))
    assert binomtest(alike, len(sides)).pvalue > 0.001


def test_a_pool_is_shuffled_and_complete():
    firsts = Counter(shuffled("abc", q, 1, "ana")[0] for q in QUESTIONS)
    assert chisquare(list(firsts.values())).pvalue > 0.001
    assert sorted(shuffled("abc", "q", 1, "ana")) == ["a", "b", "c"]
