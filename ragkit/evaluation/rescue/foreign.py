"""Foreign rows: their old vector is not that of their text, as far as the other rows can tell.

A held-out row's new vector is mapped into the old space, and compared with its own old vector and
with those of the other rows, the cohort (Auckenthaler, Carey and Lloyd-Thomas 2000, "Score
normalization for text-independent speaker verification").
"""

import numpy as np

from ragkit.evaluation.rescue.maps import procrustes
from ragkit.evaluation.samples import normalise

MIN_ROWS = 100
"""Of fewer rows, a map does not tell a foreign row from a hard one."""
COHORT_LIMIT = 1.645
"""Standard deviations above the cohort's mean: one of 20 foreign rows reaches it by chance."""
FOLDS, ROUNDS = 5, 4


def assign_folds(rows: int, folds: int, seed: int) -> np.ndarray:
    """A fold for each row, of shape (rows,); their sizes differ by one at most."""
    folds_of_rows: np.ndarray = np.random.default_rng(seed).permutation(rows) % folds
    return folds_of_rows


def find_foreign(new: np.ndarray, old: np.ndarray, seed: int) -> np.ndarray:
    """True for a foreign row; bool of shape (rows,). Unit vectors of rows with different texts.

    A row is foreign when its own cosine, without the old vectors' mean, is in the cohort's range,
    and nearer to the median of all cohorts than to that of all rows' own. The map is fitted again
    without the foreign rows, until they stay the same. None is foreign when most would be: then
    nothing tells which rows are right.
    """
    rows = len(new)
    is_kept = np.ones(rows, bool)
    if rows < MIN_ROWS:
        return ~is_kept
    folds = assign_folds(rows, FOLDS, seed)
    for _ in range(ROUNDS):
        fits = _fits(new, old, folds, is_kept)
        if fits.sum() <= rows / 2:
            return np.zeros(rows, bool)
        if (fits == is_kept).all():
            break
        is_kept = fits
    return ~is_kept


def _fits(new: np.ndarray, old: np.ndarray, folds: np.ndarray, is_kept: np.ndarray) -> np.ndarray:
    """Whether each row fits a map of the kept rows of the other folds."""
    mapped = np.empty((len(new), old.shape[1]))
    for fold in range(FOLDS):
        fitted = is_kept & (folds != fold)
        mapped[folds == fold] = new[folds == fold] @ procrustes(new[fitted], old[fitted])
    mean = old[is_kept].mean(axis=0)
    cosines = normalise(normalise(mapped) - mean) @ normalise(old - mean).T
    own = np.diag(cosines).copy()
    np.fill_diagonal(cosines, np.nan)
    cohort = cosines[:, is_kept]
    limit = np.nanmean(cohort, axis=1) + COHORT_LIMIT * np.nanstd(cohort, axis=1)
    midpoint = (np.median(own[is_kept]) + np.nanmedian(cohort)) / 2
    fits: np.ndarray = (own >= limit) | (own >= midpoint)
    return fits
