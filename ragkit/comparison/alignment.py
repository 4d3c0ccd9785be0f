"""Two spaces as a whole: are their geometries alike?"""

import numpy as np

from ragkit.comparison.metrics import CONFIDENCE, Interval


def spearman(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """By row: the rank correlation between its distances to all other rows in both spaces. Both
    are unit vectors of shape (rows, dimension), more than two rows."""
    from scipy.stats import rankdata  # see metrics.interval

    others = ~np.eye(len(old), dtype=bool)
    ranks = [rankdata((side @ side.T)[others].reshape(len(old), -1), axis=1) for side in (old, new)]
    a, b = (rank - rank.mean(axis=1, keepdims=True) for rank in ranks)
    spread = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return (a * b).sum(axis=1) / np.maximum(spread, 1e-12)


def cka(old: np.ndarray, new: np.ndarray) -> Interval:
    """Linear centred kernel alignment (Kornblith et al. 2019), 1.0 for the same geometry, with
    the jackknife's interval over rows (Efron and Tibshirani 1993, chapter 11)."""
    from scipy.stats import norm

    sides = [side - side.mean(axis=0) for side in (old, new)]
    grams = [side @ side.T for side in sides]
    whole, without = zip(
        *(_sums(grams[a], grams[b]) for a, b in ((0, 1), (0, 0), (1, 1))), strict=True
    )
    value, each = (_aligned(*parts) for parts in (whole, without))
    n = len(old)
    error = np.sqrt((n - 1) / n * ((each - each.mean()) ** 2).sum())
    reach = norm.ppf(0.5 + CONFIDENCE / 2) * error
    return Interval(float(value), float(max(value - reach, 0.0)), float(min(value + reach, 1.0)))


def _sums(a: np.ndarray, b: np.ndarray) -> tuple[float, np.ndarray]:
    """The sum over all pairs of rows, and that without each row."""
    product = a * b
    total = product.sum()
    return total, total - 2 * product.sum(axis=1) + np.diag(product)


def _aligned(both: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return both / np.maximum(np.sqrt(old * new), 1e-12)
