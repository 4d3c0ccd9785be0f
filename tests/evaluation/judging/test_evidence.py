"""What people's judgements decide, with the rest of the evidence."""

import numpy as np
import pytest

from ragkit.evaluation.gates import NOT_ASKED, NOT_JUDGED, quality_gates
from ragkit.evaluation.judging.evidence import judged_by_people, people_gates
from ragkit.evaluation.judging.record.standing import Judgements
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.plan.steps import GatesSection
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from tests.evaluation.example_evidence import make_comparison, make_evidence
from tests.evaluation.judging.lines_of import pool, preference

LIMITS = GatesSection()
RNG = np.random.default_rng(1)
ROWS = 2


def side_by_side(count, new, old):
    """Judgements of `count` questions, of which these shares prefer a model."""
    answers = RNG.choice(["left", "right", "equal"], count, p=[new, old, 1 - new - old])
    return [preference(f"q{n}", answer, n) for n, answer in enumerate(answers)]


def row_by_row(count, relevant, **more):
    """In the old list rows 1 and 2, in the new one 3 and 2; the latter are relevant by chance."""
    return [
        line
        for n in range(count)
        for line in pool(f"q{n}", [r for r in "23" if RNG.random() < relevant], n, **more)
    ]


def outcome(answers, old_can_be_asked=True, comparison=None):
    judged = judged_by_people(Judgements(answers), LIMITS, ROWS)
    evidence = make_evidence(comparison, people=judged, old_can_be_asked=old_can_be_asked)
    return Verdict.of(quality_gates(LIMITS, evidence), {})


@pytest.mark.parametrize(
    ("count", "new", "old", "verdict"),
    [(150, 0.6, 0.2, GO), (150, 0.1, 0.7, NO_GO), (15, 0.4, 0.4, INCONCLUSIVE)],
)
def test_judgements_side_by_side_stand_in_for_judged_questions(count, new, old, verdict):
    assert outcome(side_by_side(count, new, old)).verdict == verdict


def test_they_stand_in_beside_a_log_too():
    log = QuestionSet({"q0": "a", "q1": "b"}, {}, counts={"q0": 1, "q1": 1})
    rankings = {"q0": ["1", "2"], "q1": ["1", "2"]}
    comparison = make_comparison(log, rankings, rankings)
    gates = quality_gates(LIMITS, make_evidence(comparison))
    assert NOT_JUDGED in gates
    assert outcome(side_by_side(150, 0.6, 0.2), comparison=comparison).verdict == GO


def test_the_floor_alone_is_enough_only_where_the_old_model_is_gone():
    answers = row_by_row(60, 0.8, old=None)
    assert outcome(answers, old_can_be_asked=False).verdict == GO
    with_old = outcome(answers)
    assert with_old.verdict == INCONCLUSIVE
    assert NOT_ASKED in with_old.gates
    assert outcome(row_by_row(60, 0.05, old=None), old_can_be_asked=False).verdict == NO_GO


def test_rows_of_both_lists_compare_the_models():
    judged = judged_by_people(Judgements(row_by_row(80, 0.9)), LIMITS, ROWS)
    assert judged.change.mean == pytest.approx(judged.precision.mean / 2, abs=0.1)
    assert judged.compares
    assert outcome(row_by_row(80, 0.9)).verdict == GO


def test_a_gate_says_what_was_seen_and_how_many_more_it_takes():
    divided = [preference(f"q{n}", ("right", "left")[n % 2], n) for n in range(20)]
    (undecided,) = people_gates(judged_by_people(Judgements(divided), LIMITS, 2))
    assert undecided.passed is None
    assert undecided.name == "people's net preference"
    assert "of 20 questions; to decide takes about " in undecided.observed
    (decided,) = people_gates(judged_by_people(Judgements(side_by_side(99, 0.8, 0.1)), LIMITS, 2))
    assert decided.passed
    assert ", of 99 questions, decided after " in decided.observed
    assert decided.limit == "≥ -0.1"


def test_who_only_presses_one_key_is_named_and_so_is_what_does_not_count():
    answers = side_by_side(30, 1.0, 0.0)
    judgements = Judgements(answers, {"of another table (public.hotels)": 3})
    judged = judged_by_people(judgements, LIMITS, ROWS)
    assert judged.one_key == {"ana": "left"}
    assert judged.left_out == "left out: 3 of another table (public.hotels)"
    assert list(people_gates(judged_by_people(Judgements(), LIMITS, ROWS))) == []
