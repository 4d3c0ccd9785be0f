"""Percentile bootstrap intervals (Efron 1979)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 5000
CONFIDENCE = 0.90
"""Two-sided: each bound alone has an error of 5 %, which is the test that a gate makes."""
_BATCH = 250
"""Resamples at once: SciPy's default, all of them, takes three times as long."""


@dataclass(frozen=True)
class Interval:
    """An estimate with the bounds of its interval, at CONFIDENCE unless stated otherwise."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} ({self.bounds()})"

    def bounds(self, digits: int = 3, signed: bool = False) -> str:
        """Both bounds as text: "0.010 to 0.050", or "+0.010 to +0.050" when `signed`."""
        sign = "+" if signed else ""
        return f"{self.low:{sign}.{digits}f} to {self.high:{sign}.{digits}f}"


def bootstrap_interval(
    values: np.ndarray,
    seed: int,
    weights: np.ndarray | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:
    """The interval of the mean of `values`, which has shape (n,); n is at least 1.

    `weights` has the same shape; a weight is resampled together with its value. Equal values give
    an interval of width 0. The same seed gives the same interval.
    """
    from scipy.stats import bootstrap  # takes a second to import, and most commands compare nothing

    values = np.asarray(values, float)
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, float)
    rng = np.random.default_rng(seed)
    interval = bootstrap(
        (values, weights), _weighted_mean, method="percentile", n_resamples=RESAMPLES,
        batch=_BATCH, paired=True, confidence_level=confidence, rng=rng, vectorized=True,
    ).confidence_interval  # fmt: skip
    mean = float(_weighted_mean(values, weights))
    return Interval(mean, float(interval.low), float(interval.high))


def percentile_interval(
    value: float, resampled: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE
) -> Interval:
    """The interval of a statistic from its value and its values in the resamples."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(resampled, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


def _weighted_mean(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    mean: np.ndarray = (values * weights).sum(axis=axis) / weights.sum(axis=axis)
    return mean
