import numpy as np
import pytest

from ragkit.evaluation.judging.record.agreement import ONE_KEY, agreement, alpha, one_key
from tests.evaluation.judging.lines_of import pool, preference

N = np.nan
PUBLISHED = np.array([
    [1, 2, 3, 3, 2, 1, 4, 1, 2, N, N, N],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, N, 3],
    [N, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, N],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, N],
])  # fmt: skip
"""Krippendorff 2011, section D: four observers, twelve units."""


def test_the_published_example():
    units = [column[~np.isnan(column)] for column in PUBLISHED.T]
    assert alpha(units) == pytest.approx(0.849, abs=0.0005)  # his figure for interval data


def test_perfect_chance_and_nothing_to_tell():
    units = np.random.default_rng(1).choice([-1.0, 0.0, 1.0], size=(5000, 2))
    assert alpha(list(units)) == pytest.approx(0, abs=0.05)
    assert alpha([np.array([v, v]) for v in (-1.0, 1.0, 0.0)]) == 1
    assert alpha([np.array([1.0, 1.0])] * 5) is None


def test_only_what_several_were_asked_is_compared():
    lines = [
        preference("q1", "left"), preference("q1", "left", judge="bo"),
        preference("q2", "left"), preference("q2", "right", judge="bo"),
        preference("q3", "left"),
        preference("q4", "equal", asked=False), preference("q4", "equal", judge="bo", asked=False),
    ]  # fmt: skip
    found = agreement(lines)
    assert (found.judged, found.same) == (2, 0.5)


def test_sides_do_not_matter_but_what_stood_there():
    lines = [
        preference("q1", "left", left="new"),
        preference("q1", "right", judge="bo", left="old"),
    ]
    assert agreement(lines).same == 1


def test_rows_are_compared_one_by_one():
    found = agreement([*pool(relevant=("1", "2")), *pool(relevant=("1",), judge="bo")])
    assert (found.judged, found.same) == (3, pytest.approx(2 / 3))


def test_one_judge_alone_agrees_with_nobody():
    assert agreement([preference("q1"), preference("q2")]).same is None


class TestOneKey:
    def answers(self, keys, judge="ana"):
        return [preference(f"q{n}", key, n, judge) for n, key in enumerate(keys)]

    def test_a_judge_who_only_ever_presses_one_is_named(self):
        lines = self.answers(["left"] * ONE_KEY) + self.answers(["left", "right"] * 9, "bo")
        assert one_key(lines) == {"ana": "left"}

    def test_a_few_answers_tell_nothing(self):
        assert one_key(self.answers(["left"] * (ONE_KEY - 1))) == {}

    def test_what_nobody_was_asked_is_no_key(self):
        lines = [preference(f"q{n}", "equal", asked=False) for n in range(50)]
        assert one_key(lines) == {}
