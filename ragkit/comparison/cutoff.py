"""Cut-off recalibration: a similarity threshold means another thing in another space.

An app that leaves out rows beyond a distance needs a new one, or it shows all rows or none.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragkit import contract
from ragkit.comparison.compare import Comparison
from ragkit.comparison.metrics import CONFIDENCE, Interval
from ragkit.comparison.vectors import stored
from ragkit.database import plain_errors
from ragkit.errors import ConfigError
from ragkit.migration.subject import Migration

SAMPLE, RESAMPLES, BINS = 400, 300, 60
"""Rows whose pairs are measured; resamples of rows or questions; bins of the two histograms."""


@dataclass(frozen=True)
class Recalled:
    """The new cut-off that keeps as many of the judged relevant rows as the old one does: a share
    of `recall` of `pairs` of a question and a row (Efron's percentile interval over questions)."""

    new: Interval
    recall: float
    pairs: int


@dataclass(frozen=True)
class Cutoff:
    """The new cut-off that lets as many pairs of rows through as `old` did: a share of
    `selectivity` (Efron's percentile interval over rows). `before` and `after` are the cosine
    distances of all pairs in both spaces. `recalled` needs judged questions."""

    old: float
    new: Interval
    selectivity: float
    before: np.ndarray
    after: np.ndarray
    recalled: Recalled | None = None


def recalibrate(migration: Migration, asked: Comparison | None = None) -> Cutoff | None:
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
    recalled = asked and _recalled(asked, plan.cutoff, plan.seed)
    return Cutoff(plan.cutoff, _bounds(new, again), share, before, after, recalled)


def carry(migration: Migration, found: Cutoff | None) -> str:
    """By `carry_cutoff` of the plan: both cut-offs into the contract, where the function keeps to
    them. Returns what was done. Raises ConfigError when there is none to carry."""
    plan = migration.plan
    if plan.carry_cutoff == "no":
        return "carry_cutoff is no: the app's cut-off is yours to change"
    kept = found and (found if plan.carry_cutoff == "selectivity" else found.recalled)
    if kept is None:
        raise ConfigError(
            f"carry_cutoff is {plan.carry_cutoff!r}: it takes cosine distance, and recall takes "
            "judged questions"
        )
    with plain_errors("writing the cut-off"), migration.engine.begin() as connection:
        for column, value in ((plan.old_column, plan.cutoff), (plan.new_column, kept.new.mean)):
            contract.set_cutoff(connection, plan.qualified, column, value)
    return f"the contract's cut-offs: old {plan.cutoff:g}, new {kept.new.mean:.3f}"


def _recalled(asked: Comparison, cutoff: float, seed: int) -> Recalled | None:
    """None where nothing is judged."""
    both = pd.DataFrame({"old": asked.old.relevant, "new": asked.new.relevant}).dropna()
    if both.empty:
        return None
    of_question = [part.to_numpy() for _, part in both.groupby("question", sort=False)]
    rng = np.random.default_rng(seed)

    def kept(parts: list[np.ndarray]) -> tuple[float, float]:
        old, new = np.concatenate(parts).T
        share = float((old < cutoff).mean())
        return share, float(np.quantile(new, share))

    recall, new = kept(of_question)
    places = rng.integers(len(of_question), size=(RESAMPLES, len(of_question)))
    again = [kept([of_question[i] for i in chosen])[1] for chosen in places]
    return Recalled(_bounds(new, again), recall, len(both))


def _bounds(value: float, again: list[float]) -> Interval:
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(again, [tail, 1 - tail])
    return Interval(value, float(low), float(high))


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
