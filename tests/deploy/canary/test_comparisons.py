"""What is compared with what, and that a disturbance of both revisions is no difference."""

import numpy as np
import pytest

from ragkit.deploy.canary.comparisons import SLOWER, Comparisons, Seen
from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW


def compared(*answers, slower=1.25):
    """Of (is_new, failed, ms, empty), in this order."""
    comparisons = Comparisons(slower)
    stream = comparisons.open_stream()
    for answer in answers:
        stream.add(Seen(*answer))
    return comparisons


def test_an_answer_is_compared_with_those_of_the_same_time():
    old, new = (False, False), (True, True)
    assert compared(old, old, new).values[ERRORS] == [1.0]
    assert compared(new, (True, False), old).values[ERRORS] == [0.5]
    assert compared(old, (False, True), new, old, new).values[ERRORS] == [0.5, 1.0]
    assert compared(new, new).values[ERRORS] == []
    assert compared(new, old, new).answers == 2


def test_a_slow_answer_is_measured_by_what_was_seen_before_its_block():
    fast, slow = [(False, False, float(ms)) for ms in range(1, 20)], (False, False, 100.0)
    first = [*fast, (True, False, 1.0)]

    def slow_and_slower(*answers):
        values = compared(*first, *answers).values
        return values[SLOW] + values[SLOWER]

    assert slow_and_slower((False, False, 5.0), (True, False, 24.0)) == [1.0, 1.0]
    assert slow_and_slower((False, False, 5.0), (True, False, 23.0)) == [1.0, 0.0]  # 1.25 * 19
    assert slow_and_slower((False, False, 5.0), (True, False, 18.0)) == [0.0, 0.0]
    assert slow_and_slower(slow, (True, False, 90.0)) == [0.0, 0.0]
    assert slow_and_slower(slow, (True, False, 1.0)) == [-1.0, -1.0]


def test_an_answer_that_fails_is_slower_than_any():
    fast = [(False, False, 5.0), (True, False, 5.0)]
    assert compared(*fast, (False, False, 4.0), (True, True, 0.1)).values[SLOW] == [1.0]
    assert compared(*fast, (False, True, 0.1), (True, False, 4.0)).values[SLOW] == [-1.0]


def test_streams_are_never_compared_with_one_another():
    comparisons = Comparisons(1.25)
    live, own = comparisons.open_stream(), comparisons.open_stream()
    live.add(Seen(True, True))
    own.add(Seen(False, False))
    assert comparisons.values[ERRORS] == []
    own.add(Seen(True, False))
    live.add(Seen(False, True))
    assert comparisons.values[ERRORS] == [0.0, 0.0]


def test_a_shadow_tells_overlap_and_empty_answers():
    comparisons = Comparisons(1.25)
    comparisons.add_shadow(0.5, old_empty=False, new_empty=True)
    assert comparisons.values == {
        ERRORS: [], SLOW: [], SLOWER: [], EMPTY: [1.0], OVERLAP: [0.5],
    }  # fmt: skip


@pytest.mark.parametrize("share", [0.05, 0.5, 0.8])
def test_what_befalls_both_is_no_difference(share):
    """For a fifth of the time nothing answers: only the edges of that time can differ."""
    rng = np.random.default_rng(1)
    answers = [
        (bool(rng.random() < share), bool(2000 <= number < 3000), 5.0) for number in range(5000)
    ]
    assert sum(map(abs, compared(*answers).values[ERRORS])) <= 2


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_the_mean_is_the_difference_of_the_two(share):
    rng, rates, comparisons = np.random.default_rng(2), {True: 0.3, False: 0.1}, Comparisons(1.25)
    stream = comparisons.open_stream()
    for _ in range(40_000):
        is_new = bool(rng.random() < share)
        stream.add(Seen(is_new, bool(rng.random() < rates[is_new])))
    values = comparisons.values[ERRORS]
    assert np.mean(values) == pytest.approx(0.2, abs=4 * np.std(values) / len(values) ** 0.5)
