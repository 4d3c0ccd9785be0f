"""Foreign rows: their old vector is not that of their text, as far as the other rows can tell.

A held-out row's new vector is mapped into the old space, and compared with its own old vector and
with those of the other rows, the cohort (Auckenthaler, Carey and Lloyd-Thomas 2000, "Score
normalization for text-independent speaker verification").
"""

import numpy as np

from ragkit.evaluation.bridge.maps import procrustes
from ragkit.evaluation.samples import normalise

MIN_ROWS = 100
"""Of fewer rows, a map does not tell a foreign row from a hard one."""
COHORT_LIMIT = 1.645
"""Standard deviations above the cohort's mean: one of 20 foreign rows reaches it by chance."""
OUTLIER = 2.0
"""Standard deviations below the median, by the median absolute deviation (Leys et al. 2013) of the
upper half, which foreign rows leave alone."""
NORMAL_MAD = 1.4826
"""From a median absolute deviation to a standard deviation."""
FOLDS, ROUNDS = 5, 4


def assign_folds(rows: int, folds: int, seed: int) -> np.ndarray:
    """A fold for each row, of shape (rows,); their sizes differ by one at most."""
    folds_of_rows: np.ndarray = np.random.default_rng(seed).permutation(rows) % folds
    return folds_of_rows


def find_foreign(new: np.ndarray, old: np.ndarray, seed: int) -> np.ndarray:
    """True for a foreign row; bool of shape (rows,). Unit vectors of rows with different texts.

    Cosines are without the old vectors' mean. A row is foreign when its own one does not stand out
    of its cohort, is nearer to the median of all cohorts than to that of all rows' own, and is an
    outlier below the latter: between weakly related models, hard rows fail the first two as well.
    The map is fitted again without the foreign rows, until they stay the same. No row is foreign
    when most do not stand out: then nothing tells which ones are right.
    """
    rows = len(new)
    is_kept = np.ones(rows, bool)
    if rows < MIN_ROWS:
        return ~is_kept
    folds = assign_folds(rows, FOLDS, seed)
    for _ in range(ROUNDS):
        own, cohort = _cosines(new, old, folds, is_kept)
        limit = np.nanmean(cohort, axis=1) + COHORT_LIMIT * np.nanstd(cohort, axis=1)
        stands_out = own >= limit
        if stands_out.sum() <= rows / 2:
            return np.zeros(rows, bool)
        fits = stands_out | (own >= _floor(own[is_kept], float(np.nanmedian(cohort))))
        if (fits == is_kept).all():
            break
        is_kept = fits
    return ~is_kept


def _cosines(
    new: np.ndarray, old: np.ndarray, folds: np.ndarray, is_kept: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of each row, mapped by the kept rows of the other folds: with its own old vector, of shape
    (rows,), and with those of the kept rows, of shape (rows, kept rows); NaN with itself."""
    mapped = np.empty((len(new), old.shape[1]))
    for fold in range(FOLDS):
        fitted = is_kept & (folds != fold)
        mapped[folds == fold] = new[folds == fold] @ procrustes(new[fitted], old[fitted])
    mean = old[is_kept].mean(axis=0)
    cosines = normalise(normalise(mapped) - mean) @ normalise(old - mean).T
    own = np.diag(cosines).copy()
    np.fill_diagonal(cosines, np.nan)
    return own, cosines[:, is_kept]


def _floor(own: np.ndarray, of_cohorts: float) -> float:
    """What a row's own cosine may be at least, whatever its cohort."""
    median = float(np.median(own))
    deviation = NORMAL_MAD * float(np.median(own[own >= median] - median))
    return min((median + of_cohorts) / 2, median - OUTLIER * deviation)
