"""Paired statistics of a comparison: is a difference real, and could one have been seen?

All are of the per-question differences, new minus old, so that hard and easy questions cancel.
"""

from dataclasses import dataclass
from math import ceil

import numpy as np
import pandas as pd

from ragkit.comparison.metrics import Interval, interval

SHUFFLES = 9_999
ERROR, POWER = 0.05, 0.80
"""One-sided error and power that `detectable` and `needed` are for."""
FEWEST, MOST = 50, 1_000_000
"""Questions: with fewer a comparison is not to be trusted (Buckley and Voorhees 2000, "Evaluating
evaluation measure stability"); more nobody asks."""


@dataclass(frozen=True)
class Difference:
    """One metric. `p` is two-sided, of a paired randomisation test (Smucker et al. 2007),
    corrected for the number of metrics by Benjamini and Hochberg's method; `detectable` is the
    smallest true difference that `n` questions show with POWER."""

    metric: str
    old: float
    new: float
    change: Interval
    p: float
    n: int
    detectable: float | None
    wins: int
    ties: int
    losses: int


def differences(old: pd.DataFrame, new: pd.DataFrame, seed: int) -> list[Difference]:
    """One for each column. Both frames have the same questions and columns."""
    from scipy.stats import false_discovery_control  # see metrics.interval

    changes = {name: (new[name] - old[name]).to_numpy() for name in old}
    raw = [_p(values, seed) for values in changes.values()]
    corrected = false_discovery_control(raw)
    return [
        Difference(
            name, float(old[name].mean()), float(new[name].mean()), interval(values, seed),
            float(p), len(values), detectable(values),
            int((values > 0).sum()), int((values == 0).sum()), int((values < 0).sum()),
        )
        for (name, values), p in zip(changes.items(), corrected, strict=True)
    ]  # fmt: skip


def detectable(values: np.ndarray) -> float | None:
    """By the normal approximation, with the spread that was seen; None for one value."""
    from scipy.stats import norm

    if len(values) < 2:
        return None
    spread = values.std(ddof=1) / np.sqrt(len(values))
    return float((norm.ppf(1 - ERROR) + norm.ppf(POWER)) * spread)


def needed(found: Interval, limit: float, n: int) -> int | None:
    """How many questions would bring the interval to one side of `limit`, were the mean to stay:
    its width falls with the root of their number. At least FEWEST; None for more than MOST."""
    distance = abs(found.mean - limit)
    width = found.mean - found.low if found.mean > limit else found.high - found.mean
    if distance == 0 or (count := n * (width / distance) ** 2) > MOST:
        return None
    return max(ceil(count), FEWEST)


def _p(values: np.ndarray, seed: int) -> float:
    from scipy.stats import permutation_test

    if not values.any():
        return 1.0
    return permutation_test(
        (values, np.zeros_like(values)), lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples", n_resamples=SHUFFLES, vectorized=True,
        rng=np.random.default_rng(seed),
    ).pvalue  # fmt: skip
