"""Carries a distance cut-off over: the same distance lets other rows through in another space.

An app that shows no row beyond a distance needs a new cut-off with a new model; with the old one it
answers nothing, or everything. What such an app is known by is how often it answers nothing, and
that share is what the new cut-off keeps. It is taken from questions: pairs of rows lie at other
distances than a question and its rows.
"""

from dataclasses import dataclass

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.metrics.bootstrap import Interval, percentile_interval
from ragkit.migration.migration import Migration
from ragkit.retrieval import contract_changes

RESAMPLES = 1000
"""Of the bootstrap over questions."""


@dataclass(frozen=True)
class Shown:
    """What an app shows with a cut-off: the share of questions with an empty answer, and the mean
    number of rows of a question, of k at most."""

    empty: float
    rows: float


@dataclass(frozen=True)
class CutoffCalibration:
    """`new` is the cut-off of the new column with as large a share of empty answers as `old` has
    in the old one; where that leaves a choice, with as many rows. Its interval is a percentile
    bootstrap over questions.

    `with_old`, `unchanged` and `with_new` say what is shown before, with the old cut-off in the
    new column, and with the new one. `old_nearest` and `new_nearest` are the distances of each
    question's first row, of shape (questions,).
    """

    old: float
    new: Interval
    with_old: Shown
    unchanged: Shown
    with_new: Shown
    old_nearest: np.ndarray
    new_nearest: np.ndarray


def recalibrate(comparison: Comparison, cutoff: float, seed: int) -> CutoffCalibration | None:
    """The new cut-off for `cutoff`; None where the distances of a model are not known."""
    runs = comparison.old, comparison.new
    old, new = (_distances(run.exact.distances, comparison.k) for run in runs)
    if old.size == 0 or new.size == 0:
        return None
    value = _carry(old, new, cutoff)
    rng = np.random.default_rng(seed)
    draws = rng.integers(len(old), size=(RESAMPLES, len(old)))
    resampled = [_carry(old[draw], new[draw], cutoff) for draw in draws]
    return CutoffCalibration(
        old=cutoff,
        new=percentile_interval(value, resampled),
        with_old=_shown(old, cutoff),
        unchanged=_shown(new, cutoff),
        with_new=_shown(new, value),
        old_nearest=old[:, 0],
        new_nearest=new[:, 0],
    )


def carry_cutoffs(migration: Migration, calibration: CutoffCalibration | None) -> str:
    """Writes both cut-offs into the contract, as `evaluation.carry_cutoff` says; the function
    applies them. Returns what was done.

    Raises ConfigError when there is no calibration, or DatabaseError.
    """
    plan = migration.plan
    if plan.evaluation.carry_cutoff == "no":
        return "carry_cutoff is no: change the cut-off in the app yourself, if it has one"
    if calibration is None:
        raise ConfigError(
            "carry_cutoff is 'questions': it takes questions that both models can be asked, and "
            "there are none; set evaluation.questions, or carry_cutoff to 'no'"
        )
    old, new = plan.evaluation.cutoff, calibration.new.mean
    table = plan.table.qualified_name
    with translate_errors("writing the cut-off"), migration.engine.begin() as connection:
        for column, cutoff in ((plan.old.column, old), (plan.new.column, new)):
            contract_changes.set_cutoff(connection, table, column, cutoff, migration.where)
    return f"the contract's cut-offs: old {old:g}, new {new:.3f}"


def _carry(old: np.ndarray, new: np.ndarray, cutoff: float) -> float:
    """Both of shape (questions, k), with distances that ascend in each row.

    Any limit between the last question that is answered and the first that is not keeps the share
    of empty answers: of those, the one that shows most nearly as many rows.
    """
    answered = int((old[:, 0] <= cutoff).sum())
    low, high = _between(new[:, 0], answered)
    as_many_rows = float(np.mean(_between(new, int((old <= cutoff).sum()))))
    if answered == len(old):
        return max(as_many_rows, low)
    return as_many_rows if low <= as_many_rows < high else (low + high) / 2


def _between(distances: np.ndarray, count: int) -> tuple[float, float]:
    """The `count`-th smallest distance and the next one: between them, `count` are let through."""
    ascending = np.sort(distances[np.isfinite(distances)], axis=None)
    low = ascending[min(count, len(ascending)) - 1] if count else 0.0
    high = ascending[count] if count < len(ascending) else ascending[-1]
    return float(low), float(high)


def _shown(distances: np.ndarray, cutoff: float) -> Shown:
    within = distances <= cutoff
    return Shown(float((~within[:, 0]).mean()), float(within.sum(axis=1).mean()))


def _distances(by_question: dict[str, np.ndarray], k: int) -> np.ndarray:
    """Of shape (questions, k); inf where there are fewer rows."""
    rows = [np.append(d, np.full(k - len(d), np.inf)) for d in by_question.values()]
    return np.array(rows).reshape(len(rows), k)
