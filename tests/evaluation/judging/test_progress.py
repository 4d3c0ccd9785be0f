import numpy as np
import pytest

from ragkit.evaluation.judging.progress import precision_progress, preference_progress
from ragkit.evaluation.judging.record.journal import Journal
from ragkit.evaluation.judging.record.standing import select
from ragkit.sequential.betting import sequential_test
from tests.evaluation.judging.lines_of import SCOPE, pool, preference


def judged(*lines):
    return select(Journal(list(lines)), SCOPE)


def preferences(values):
    key = {1: "left", -1: "right", 0: "equal"}
    return judged(*(preference(f"q{n}", key[v], n) for n, v in enumerate(values)))


def test_nothing_judged_is_open():
    progress = preference_progress(preferences([]), 0.1, 30)
    assert progress.test.above is None
    assert progress.figure == "No question is judged yet"
    assert progress.outlook == "To decide: not worse than −10 points?"


def test_the_test_gets_the_preferences_in_order_of_time():
    values = list(np.random.default_rng(2).choice([1, 0, -1], 40))
    progress = preference_progress(preferences(values), 0.1, 100)
    assert progress.test == sequential_test(values, -0.1)


@pytest.mark.parametrize(("value", "decision"), [(1, "not worse than"), (-1, "worse than")])
def test_a_clear_difference_is_decided_and_the_judge_may_stop(value, decision):
    progress = preference_progress(preferences([value] * 60), 0.1, 100)
    after = sequential_test([value] * 60, -0.1).decided_at
    assert after < 60
    assert (
        progress.outlook == f"Decided after {after} questions: {decision} −10 points. You may stop"
    )


def test_before_that_it_says_how_many_more_and_whether_they_are_there():
    values = [1, 0, 0, -1, 0, 1]
    more = sequential_test(values, -0.1).more
    progress = preference_progress(preferences(values), 0.1, more)
    assert progress.outlook == f"Not decided: about {more} more questions, if they are like these"
    short = preference_progress(preferences(values), 0.1, more - 1)
    assert short.outlook == f"{progress.outlook}; only {more - 1} are left"


def test_answers_at_the_limit_would_never_decide():
    progress = preference_progress(preferences([-1, *[0] * 9] * 3), 0.1, 100)
    assert progress.outlook == "Not decided, and more answers like these would not decide"


def test_the_precision_of_the_new_models_lists_against_the_floor():
    """Of rows 3 and 2, which the new model shows; rows that it does not show are missed."""
    judgements = judged(*pool("q1", ("3", "2")), *pool("q2", ("1",), 9), *pool("q3", ("3",), 18))
    progress = precision_progress(judgements, 0.3, 2, 50)
    assert progress.test == sequential_test([1.0, 0.0, 0.5], 0.3, (0, 1))
    assert progress.figure.startswith("Precision@2 of the new model: 0.50 (")
    assert progress.figure.endswith(") over 3 questions")


def test_a_list_that_is_shorter_than_the_app_shows_missed_the_rest():
    lines = [a.model_copy(update={"new": ("3",)}) for a in pool("q1", ("3",))]
    assert precision_progress(judged(*lines), 0.3, 4, 50).test.mean == 0.25
