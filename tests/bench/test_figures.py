"""Goals, and how the repetitions are held against them."""

from collections import Counter

import pytest

from tests.bench.figures import GOALS, Figure, Goal

LEAST, GREATEST = Goal("least", 4, ""), Goal("greatest", 1.1, "", at_most=True)


@pytest.mark.parametrize(
    ("goal", "values", "median", "passed"),
    [
        (LEAST, [9.0, 3.0, 4.0], 4.0, True),  # the median alone counts
        (LEAST, [9.0, 3.9, 3.9], 3.9, False),
        (GREATEST, [1.0, 1.1, 9.0], 1.1, True),
        (GREATEST, [1.0, 1.2], 1.1, True),
        (GREATEST, [1.2, 1.2, 0.1], 1.2, False),
    ],
)
def test_the_median_is_held_against_the_goal(goal, values, median, passed):
    figure = Figure(goal, values)
    assert figure.median == pytest.approx(median)
    assert figure.passed is passed


def test_nothing_is_thrown_away():
    values = [5.0, 100.0, 0.1, 5.0, 5.0]
    report = Figure(LEAST, values, "a profile").as_json()
    assert report["values"] == values
    assert (report["min"], report["median"], report["max"]) == (0.1, 5.0, 100.0)
    assert report["repetitions"] == 5


def test_a_missed_goal_and_an_absent_one_say_why():
    assert str(Figure(LEAST, [3.0], "2 in flight")).endswith("MISSED 2 in flight")
    assert str(Figure(LEAST, [5.0], "2 in flight")).endswith("passed")
    absent = Figure(LEAST, [], "no such package")
    assert str(absent).endswith("absent: no such package")
    assert absent.passed is None


def test_no_figure_has_two_goals():
    assert set(Counter(goal.name for goal in GOALS).values()) == {1}
