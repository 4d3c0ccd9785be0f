"""Cut-off recalibration: a similarity threshold means another thing in another space.

An app that leaves out rows beyond a distance needs a new one, or it shows all rows or none.
"""

from dataclasses import dataclass

import numpy as np

from ragkit.comparison.metrics import CONFIDENCE, Interval
from ragkit.comparison.neighbours import stored
from ragkit.migration.subject import Migration

SAMPLE, RESAMPLES, BINS = 400, 300, 60
"""Rows whose pairs are measured; resamples of the rows; bins of the two histograms."""


@dataclass(frozen=True)
class Cutoff:
    """The new cut-off that lets as many pairs of rows through as `old` did: a share of
    `selectivity` (Efron's percentile interval over rows). `before` and `after` are the cosine
    distances of all pairs in both spaces."""

    old: float
    new: Interval
    selectivity: float
    before: np.ndarray
    after: np.ndarray


def recalibrate(migration: Migration) -> Cutoff | None:
    """For `cutoff` of the plan; None for another distance than cosine. Raises SpaceNotReady
    without rows that have both vectors."""
    plan = migration.plan
    if plan.distance != "cosine":
        return None
    found = stored(migration)
    sides = [1 - side[:SAMPLE] @ side[:SAMPLE].T for side in (found.old, found.new)]
    rows = np.arange(len(sides[0]))
    share, new, before, after = _carried(*sides, rows, plan.cutoff)
    rng = np.random.default_rng(plan.seed)
    again = [
        _carried(*sides, rng.choice(rows, len(rows)), plan.cutoff)[1] for _ in range(RESAMPLES)
    ]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(again, [tail, 1 - tail])
    return Cutoff(plan.cutoff, Interval(new, float(low), float(high)), share, before, after)


def _carried(
    old: np.ndarray, new: np.ndarray, rows: np.ndarray, cutoff: float
) -> tuple[float, float, np.ndarray, np.ndarray]:
    """The share of pairs under `cutoff`, where the same share ends in the new space, and both
    sides' distances. A row that a resample holds twice is no pair with itself."""
    first, second = np.triu_indices(len(rows), 1)
    pairs = rows[first] != rows[second]
    first, second = rows[first[pairs]], rows[second[pairs]]
    before, after = old[first, second], new[first, second]
    share = float((before < cutoff).mean())
    return share, float(np.quantile(after, share)), before, after
