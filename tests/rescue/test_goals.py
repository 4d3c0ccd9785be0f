import numpy as np
import pytest

from tests.rescue.goals import SOUGHT, ratio
from tests.rescue.traffic import draw


def test_a_ratio_is_that_of_the_means_and_the_questions_are_resampled_together():
    native = np.random.default_rng(1).random(200)
    same = ratio(0.9 * native, native, seed=1)
    assert (same.mean, same.low, same.high) == (pytest.approx(0.9),) * 3
    other = ratio(np.random.default_rng(2).random(200), native, seed=1)
    assert other.low < other.mean < other.high


def test_questions_that_the_native_search_does_not_answer_count():
    native = np.tile([0.0, 2.0], 50)
    found = ratio(np.ones(100), native, seed=1)
    assert found.low < found.mean == 1 < found.high
    assert ratio(np.ones(2), np.array([0.0, 2.0]), seed=1).high == 1


@pytest.mark.parametrize("sought", SOUGHT, ids=lambda each: each.goal.name)
def test_a_goal_without_a_value_has_the_reason_of_its_part(sought):
    figure = sought.figure({}, {sought.part: "not here"})
    assert (figure.passed, figure.reason) == (None, "not here")


def test_traffic_repeats_what_is_frequent():
    questions = [f"question {n}" for n in range(100)]
    asked = draw(questions, 20_000, seed=5)
    often = sorted((asked.count(question) for question in questions), reverse=True)
    assert often[0] / often[1] == pytest.approx(2, rel=0.1)
    assert often[0] / often[9] == pytest.approx(10, rel=0.2)
