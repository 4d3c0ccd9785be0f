import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.metrics.bootstrap import (
    RESAMPLES,
    Interval,
    bootstrap_interval,
    percentile_interval,
)


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.integers(0, 5))
def test_an_interval_contains_its_mean_and_is_reproducible(values, seed):
    interval = bootstrap_interval(np.array(values), seed)
    assert interval.low - 1e-9 <= interval.mean <= interval.high + 1e-9
    assert interval == bootstrap_interval(np.array(values), seed)


def test_a_bound_has_an_error_of_five_percent():
    """Coverage by simulation: about 90 % of the intervals contain the true mean."""
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(rng.normal(0, 1, 60), 1) for _ in range(200)]
    covered = sum(interval.low <= 0 <= interval.high for interval in intervals)
    assert 0.83 <= covered / 200 <= 0.96


@pytest.mark.parametrize("n", [2, 3, 50, 300])
@pytest.mark.parametrize("confidence", [0.9, 0.99])
def test_intervals_agree_with_scipy(n, confidence):
    rng = np.random.default_rng(n)
    values, weights = rng.normal(size=n), rng.integers(1, 9, n).astype(float)

    def weighted_mean(x, w, axis):
        return (x * w).sum(axis=axis) / w.sum(axis=axis)

    for sample_weights in (None, weights):
        result = scipy.stats.bootstrap(
            (values, np.ones(n) if sample_weights is None else sample_weights),
            weighted_mean,
            method="percentile",
            n_resamples=RESAMPLES,
            paired=True,
            confidence_level=confidence,
            rng=np.random.default_rng(7),
        )
        interval = bootstrap_interval(values, 7, sample_weights, confidence)
        assert (interval.low, interval.high) == pytest.approx(result.confidence_interval)
        assert interval.mean == pytest.approx(np.average(values, weights=sample_weights))


def test_equal_values_have_an_interval_of_width_zero():
    assert bootstrap_interval(np.array([0.5, 0.5]), 1) == Interval(0.5, 0.5, 0.5)


def test_a_percentile_interval_leaves_out_half_of_the_error_on_each_side():
    interval = percentile_interval(3.0, list(range(101)))
    assert interval == Interval(3.0, pytest.approx(5.0), pytest.approx(95.0))
    assert percentile_interval(3.0, np.arange(101), 0.5).high == pytest.approx(75.0)


def test_bounds_are_written_with_digits_and_sign():
    interval = Interval(0.03, 0.0104, 0.05)
    assert interval.bounds() == "0.010 to 0.050"
    assert interval.bounds(signed=True) == "+0.010 to +0.050"
    assert Interval(0.0, -0.5, 0.25).bounds(2, signed=True) == "-0.50 to +0.25"
