"""Recalibrates a distance cut-off: the same threshold lets other rows through in another space.

An app that shows no row beyond a distance needs a new cut-off with a new model. With the old one
it shows all rows or none.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.metrics.bootstrap import Interval, percentile_interval
from ragkit.evaluation.samples import sample_vectors
from ragkit.migration.migration import Migration
from ragkit.retrieval import contract_changes

MAX_PAIRED_ROWS = 400
"""Rows of which all pairs are measured."""
CUTOFF_RESAMPLES = 300
"""Bootstrap resamples of rows, or of questions."""


@dataclass(frozen=True)
class RecallCutoff:
    """The new cut-off that shows as large a share of the relevant rows as the old one.

    `recall` is that share, over `pairs` of a question and a relevant row. The interval is a
    percentile bootstrap over questions.
    """

    new: Interval
    recall: float
    pairs: int


@dataclass(frozen=True)
class CutoffCalibration:
    """The new cut-off that lets as large a share of the pairs of rows through as `old`.

    `selectivity` is that share. The interval is a percentile bootstrap over rows.
    `old_distances` and `new_distances` are the cosine distances of all pairs, of shape (pairs,).
    `by_recall` is None without judged questions.
    """

    old: float
    new: Interval
    selectivity: float
    old_distances: np.ndarray
    new_distances: np.ndarray
    by_recall: RecallCutoff | None = None


def recalibrate(
    migration: Migration, comparison: Comparison | None = None
) -> CutoffCalibration | None:
    """The new cut-off for `evaluation.cutoff`; None for a distance other than cosine.

    Raises SpaceNotReady without rows that have both vectors, or DatabaseError.
    """
    if migration.plan.table.distance != "cosine":
        return None
    cutoff, seed = migration.plan.evaluation.cutoff, migration.plan.evaluation.seed
    sample = sample_vectors(migration)
    old, new = (
        1 - vectors[:MAX_PAIRED_ROWS] @ vectors[:MAX_PAIRED_ROWS].T
        for vectors in (sample.old, sample.new)
    )
    rows = np.arange(len(old))
    old_distances, new_distances = _pair_distances(old, new, rows)
    share, value = _equal_share(old_distances, new_distances, cutoff)
    rng = np.random.default_rng(seed)
    resampled = [
        _equal_share(*_pair_distances(old, new, rng.choice(rows, len(rows))), cutoff)[1]
        for _ in range(CUTOFF_RESAMPLES)
    ]
    return CutoffCalibration(
        old=cutoff,
        new=percentile_interval(value, resampled),
        selectivity=share,
        old_distances=old_distances,
        new_distances=new_distances,
        by_recall=_calibrate_by_recall(comparison, cutoff, seed) if comparison else None,
    )


def carry_cutoffs(migration: Migration, calibration: CutoffCalibration | None) -> str:
    """Writes both cut-offs into the contract, as `evaluation.carry_cutoff` says; the function
    applies them. Returns what was done.

    Raises ConfigError when there is no calibration of the wanted kind, or DatabaseError.
    """
    plan, kind = migration.plan, migration.plan.evaluation.carry_cutoff
    if kind == "no":
        return "carry_cutoff is no: change the cut-off in the app yourself, if it has one"
    chosen = calibration.by_recall if calibration and kind == "recall" else calibration
    if chosen is None:
        raise ConfigError(
            f"carry_cutoff is {kind!r}: both kinds take cosine distance, and recall takes judged "
            "questions"
        )
    old, new = plan.evaluation.cutoff, chosen.new.mean
    table = plan.table.qualified_name
    with translate_errors("writing the cut-off"), migration.engine.begin() as connection:
        contract_changes.set_cutoff(connection, table, plan.old.column, old)
        contract_changes.set_cutoff(connection, table, plan.new.column, new)
    return f"the contract's cut-offs: old {old:g}, new {new:.3f}"


def _calibrate_by_recall(comparison: Comparison, cutoff: float, seed: int) -> RecallCutoff | None:
    """None without judged questions."""
    distances = pd.DataFrame(
        {"old": comparison.old.relevant_distances, "new": comparison.new.relevant_distances}
    ).dropna()
    if distances.empty:
        return None
    by_question = [pairs.to_numpy() for _, pairs in distances.groupby("question", sort=False)]
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(by_question), size=(CUTOFF_RESAMPLES, len(by_question)))
    recall, value = _equal_share(distances["old"].to_numpy(), distances["new"].to_numpy(), cutoff)
    resampled = []
    for draw in draws:
        old, new = np.concatenate([by_question[place] for place in draw]).T
        resampled.append(_equal_share(old, new, cutoff)[1])
    return RecallCutoff(percentile_interval(value, resampled), recall, len(distances))


def _equal_share(old: np.ndarray, new: np.ndarray, cutoff: float) -> tuple[float, float]:
    """The share of the old distances below the cut-off, and the quantile of the new distances at
    that share."""
    share = float((old < cutoff).mean())
    return share, float(np.quantile(new, share))


def _pair_distances(
    old: np.ndarray, new: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of all pairs of `rows`, from the matrices of both spaces, of shape (pairs,).

    A row that a resample draws twice is not paired with itself.
    """
    first, second = np.triu_indices(len(rows), 1)
    is_pair = rows[first] != rows[second]
    first, second = rows[first[is_pair]], rows[second[is_pair]]
    return old[first, second], new[first, second]
