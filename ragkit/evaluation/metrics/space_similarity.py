"""Similarity of two vector spaces, measured on rows that have a vector in both."""

import numpy as np

from ragkit.evaluation.metrics.bootstrap import CONFIDENCE, Interval


def nearest_rows(vectors: np.ndarray, k: int) -> np.ndarray:
    """Indices of the k nearest other rows by cosine, nearest first; all others if fewer than k.

    `vectors` are unit vectors of shape (rows, dimension); the result has shape (rows, k).
    """
    vectors = vectors.astype(np.float64)
    similarity = vectors @ vectors.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]


def shared_neighbours(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The share of each row's neighbours that it has in both spaces, of shape (rows,).

    Both arguments are results of `nearest_rows`. A row without neighbours shares all of them.
    """
    return np.array(
        [
            len(set(before) & set(after)) / len(before) if before else 1.0
            for before, after in zip(old.tolist(), new.tolist(), strict=True)
        ]
    )


def spearman(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """The rank correlation of a row's distances to all other rows in both spaces, by row.

    Both arguments are unit vectors of shape (rows, dimension), with at least three rows.
    """
    from scipy.stats import rankdata

    others = ~np.eye(len(old), dtype=bool)
    old_ranks, new_ranks = (
        rankdata((vectors @ vectors.T)[others].reshape(len(old), -1), axis=1)
        for vectors in (old, new)
    )
    a = old_ranks - old_ranks.mean(axis=1, keepdims=True)
    b = new_ranks - new_ranks.mean(axis=1, keepdims=True)
    norms = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    correlations: np.ndarray = (a * b).sum(axis=1) / np.maximum(norms, 1e-12)
    return correlations


def cka(old: np.ndarray, new: np.ndarray) -> Interval:
    """Linear centred kernel alignment (Kornblith et al. 2019); 1.0 for the same geometry.

    The interval is the jackknife's over rows (Efron and Tibshirani 1993, chapter 11). Both
    arguments have shape (rows, dimension); the dimensions may differ.
    """
    from scipy.stats import norm

    old_gram, new_gram = (
        centred @ centred.T for centred in (old - old.mean(axis=0), new - new.mean(axis=0))
    )
    totals, totals_without_row = zip(
        _gram_sums(old_gram, new_gram),
        _gram_sums(old_gram, old_gram),
        _gram_sums(new_gram, new_gram),
        strict=True,
    )
    value = float(_alignment(*totals))
    jackknife = _alignment(*totals_without_row)
    n = len(old)
    standard_error = np.sqrt((n - 1) / n * ((jackknife - jackknife.mean()) ** 2).sum())
    half_width = float(norm.ppf(0.5 + CONFIDENCE / 2) * standard_error)
    return Interval(value, max(value - half_width, 0.0), min(value + half_width, 1.0))


def _gram_sums(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of a * b over all pairs of rows, and over the pairs without each row in turn."""
    product = a * b
    total = product.sum()
    return total, total - 2 * product.sum(axis=1) + np.diag(product)


def _alignment(cross: np.ndarray, old: np.ndarray, new: np.ndarray) -> np.ndarray:
    alignment: np.ndarray = cross / np.maximum(np.sqrt(old * new), 1e-12)
    return alignment
