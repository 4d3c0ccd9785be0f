"""Decisions that may be looked at after every observation, and how often they are wrong."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.sequential.betting import ERROR, Noise, sequential_test

LIMIT = -0.1
SIMULATIONS, LENGTH = 1000, 300
SLACK = 3 * np.sqrt(ERROR * (1 - ERROR) / SIMULATIONS)
"""Three standard errors of a share that is ERROR."""


def preferences(rng, net, length=LENGTH, equal=0.4):
    """Clicks for the new model (1), for neither (0) and for the old one (-1)."""
    new = (1 - equal + net) / 2
    return rng.choice([1, 0, -1], size=length, p=[new, equal, 1 - equal - new])


@pytest.mark.parametrize("equal", [0.0, 0.4, 0.8])
def test_at_the_limit_it_is_rarely_wrong_in_either_direction(equal):
    rng = np.random.default_rng(1)
    results = [
        sequential_test(preferences(rng, LIMIT, equal=equal), LIMIT) for _ in range(SIMULATIONS)
    ]
    for wrong in (True, False):
        assert np.mean([result.above is wrong for result in results]) <= ERROR + SLACK


def test_beside_the_limit_the_decision_is_right():
    rng = np.random.default_rng(2)
    better = [sequential_test(preferences(rng, 0.2), LIMIT) for _ in range(100)]
    worse = [sequential_test(preferences(rng, -0.4), LIMIT) for _ in range(100)]
    assert all(result.above for result in better)
    assert all(result.above is False for result in worse)
    assert 20 < np.median([result.decided_at for result in better]) < 100


def test_the_interval_holds_the_mean_at_every_look():
    """At a random look and at the one that somebody would choose: the first decision."""
    rng = np.random.default_rng(3)
    missed = 0
    for _ in range(SIMULATIONS // 2):
        values = preferences(rng, 0.15)
        decided = sequential_test(values, LIMIT).decided_at or LENGTH
        looks = (sequential_test(values[:n], LIMIT) for n in (decided, int(rng.integers(1, 300))))
        missed += any(not look.low <= 0.15 <= look.high for look in looks)
    assert missed / (SIMULATIONS // 2) <= 2 * ERROR


@pytest.mark.parametrize("net", [0.1, 0.3])
def test_it_tells_how_many_more_it_takes(net):
    """Within a factor of two of what it then takes, after a beginning like the rest."""
    rng = np.random.default_rng(4)
    new = round(20 * (0.6 + net) / 2)
    beginning = rng.permutation([1] * new + [0] * 8 + [-1] * (12 - new))
    assert np.mean(beginning) == pytest.approx(net)
    told = sequential_test(beginning, LIMIT)
    rests = (preferences(rng, net, 1000) for _ in range(200))
    took = [sequential_test([*beginning, *rest], LIMIT).decided_at - 20 for rest in rests]
    assert 0.5 < told.more / np.median(took) < 2


@given(
    st.lists(st.sampled_from([-1.0, 0.0, 1 / 3, 1.0]), max_size=60),
    st.floats(-0.9, 0.9),
)
def test_what_holds_for_all_values(values, limit):
    result = sequential_test(values, limit)
    assert -1 <= result.low <= result.high <= 1
    assert (result.above is None) == (result.decided_at is None) == (result.more != 0)
    mirrored = sequential_test([-value for value in values], -limit)
    assert (mirrored.above, mirrored.decided_at) == (
        None if result.above is None else not result.above, result.decided_at,
    )  # fmt: skip
    assert (mirrored.low, mirrored.high) == pytest.approx((-result.high, -result.low))
    if result.above is not None:  # further looks do not take a decision back
        later = sequential_test([*values, *[-1.0 if result.above else 1.0] * 50], limit)
        assert (later.above, later.decided_at) == (result.above, result.decided_at)


def test_nothing_seen_decides_nothing():
    result = sequential_test([], LIMIT)
    assert (result.n, result.above, result.more) == (0, None, None)
    assert (result.low, result.high) == pytest.approx((-1, 1), abs=1e-5)


@pytest.mark.parametrize(
    ("values", "limit", "told"), [([0.0], 1.0, "the limit is 1"), ([2.0], 0.0, "expected -1")]
)
def test_values_or_a_limit_out_of_bounds(values, limit, told):
    with pytest.raises(ValueError, match=told):
        sequential_test(values, limit)


@given(
    st.lists(
        st.tuples(st.sampled_from([-1.0, 0.0, 1.0]), st.floats(-1, 1), st.floats(0, 2)), max_size=40
    ),
    st.floats(-0.9, 0.9),
)
def test_what_holds_for_all_noise(seen, limit):
    values, shares, most = (
        (np.array(part) for part in zip(*seen, strict=True)) if seen else [np.zeros(0)] * 3
    )
    noise = Noise(shares * most, most)
    result = sequential_test(values, limit, noise=noise)
    mirrored = sequential_test(-values, -limit, noise=-noise)
    assert (result.low, result.high) == pytest.approx((-mirrored.high, -mirrored.low))
    assert result.n == len(values)
    assert np.isfinite([result.low, result.high, result.mean]).all()
