"""Paired statistics of a comparison: is a difference real, and how small a one could be detected?

All of them use the differences by question, new minus old, so that easy and hard questions cancel.
"""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval

if TYPE_CHECKING:  # half a second, which only a comparison takes
    import pandas as pd

PERMUTATIONS = 9_999
ERROR, POWER = 0.05, 0.80
"""One-sided error and power that `detectable_difference` and `questions_needed` assume."""
MIN_QUESTIONS = 50
"""Fewer questions do not decide (Buckley and Voorhees 2000, "Evaluating evaluation measure
stability")."""
MAX_QUESTIONS = 1_000_000
"""`questions_needed` reports no larger number."""


@dataclass(frozen=True)
class MetricDifference:
    """The means of one metric over `n` questions, and the change from old to new.

    `p` is two-sided, from a paired randomisation test (Smucker et al. 2007), corrected for the
    number of metrics (Benjamini and Hochberg 1995). `detectable` is the smallest true difference
    that `n` questions show with POWER; None for one question. `wins`, `ties` and `losses` count
    questions, from the view of the new model.
    """

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


def metric_differences(
    old: "pd.DataFrame", new: "pd.DataFrame", seed: int
) -> list[MetricDifference]:
    """One difference for each column.

    Both frames have shape (questions, metrics), with the same index and the same columns.
    """
    from scipy.stats import false_discovery_control

    changes = {str(metric): (new[metric] - old[metric]).to_numpy() for metric in old.columns}
    p_values = [_randomisation_test(values, seed) for values in changes.values()]
    return [
        MetricDifference(
            metric,
            float(old[metric].mean()),
            float(new[metric].mean()),
            bootstrap_interval(values, seed),
            float(p),
            len(values),
            detectable_difference(values),
            wins=int((values > 0).sum()),
            ties=int((values == 0).sum()),
            losses=int((values < 0).sum()),
        )
        for (metric, values), p in zip(
            changes.items(), false_discovery_control(p_values), strict=True
        )
    ]


def detectable_difference(values: np.ndarray) -> float | None:
    """The smallest true mean that as many values show with POWER; None for one value.

    By the normal approximation, with the standard deviation of `values`, of shape (n,).
    """
    from scipy.stats import norm

    if len(values) < 2:
        return None
    standard_error = values.std(ddof=1) / np.sqrt(len(values))
    return float((norm.ppf(1 - ERROR) + norm.ppf(POWER)) * standard_error)


def questions_needed(interval: Interval, limit: float, n: int) -> int | None:
    """How many questions would move the whole interval to one side of `limit`.

    `interval` is of the mean of `n` questions. The mean is taken to stay; the width falls with the
    square root of the number. At least MIN_QUESTIONS; None for more than MAX_QUESTIONS.
    """
    distance = abs(interval.mean - limit)
    if distance == 0:
        return None
    above = interval.mean > limit
    width = interval.mean - interval.low if above else interval.high - interval.mean
    count = n * (width / distance) ** 2
    return None if count > MAX_QUESTIONS else max(ceil(count), MIN_QUESTIONS)


def _randomisation_test(values: np.ndarray, seed: int) -> float:
    """The two-sided p of a mean difference under random changes of sign; of one question, either
    sign is as likely."""
    from scipy.stats import permutation_test

    if len(values) < 2 or not values.any():
        return 1.0
    result = permutation_test(
        (values, np.zeros_like(values)),
        lambda new, old, axis: np.mean(new - old, axis=axis),
        permutation_type="samples",
        n_resamples=PERMUTATIONS,
        vectorized=True,
        rng=np.random.default_rng(seed),
    )
    return float(result.pvalue)
