"""Agreement of two ranked lists. It needs no judgements: it shows that lists differ, not which one
is better."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ragkit.evaluation.metrics.trec import Rankings

if TYPE_CHECKING:  # half a second, which only a comparison takes
    import pandas as pd


def overlap(old: Rankings, new: Rankings, k: int) -> "pd.Series":
    """The share of the old list's first k rows that are also in the new list's, by question."""
    shares = {q: len(set(old[q][:k]) & set(new[q][:k])) / max(min(k, len(old[q])), 1) for q in old}
    return _by_question(shares, f"overlap@{k}")


def least_overlap(k: int, rows: int) -> float:
    """The overlap@k that any two lists have when they are drawn from so few rows; mostly 0."""
    return min(max(2 * k - rows, 0) / k, 1.0)


def first_row_changed(old: Rankings, new: Rankings) -> "pd.Series":
    """1.0 where the two lists start with different rows, else 0.0, by question."""
    return _by_question({q: float(old[q][:1] != new[q][:1]) for q in old}, "first row changed")


def rbo(old: Rankings, new: Rankings, k: int) -> "pd.Series":
    """`rank_biased_overlap` of the first k rows, by question."""
    return _by_question({q: rank_biased_overlap(old[q][:k], new[q][:k]) for q in old}, f"rbo@{k}")


def kendall(old: Rankings, new: Rankings, k: int) -> "pd.Series":
    """Kendall's tau-b over the first k rows of either list, by question.

    1.0 for the same order; negative for lists without a common row. Rows that one list lacks are
    tied behind its last row (Fagin et al. 2003).
    """
    return _by_question({q: _tau(old[q][:k], new[q][:k]) for q in old}, f"tau@{k}")


def rank_biased_overlap(old: Sequence[object], new: Sequence[object], p: float = 0.9) -> float:
    """Rank-biased overlap, extrapolated (Webber, Moffat and Zobel 2010, equation 30).

    1.0 for the same order, 0.0 for no common item. The first items have the most weight: with
    p = 0.9 the first ten have 86 % of it. Lists of different lengths are cut to the shorter one.
    """
    depth = min(len(old), len(new))
    if not depth:
        return 1.0 if old == new else 0.0
    agreement = [len(set(old[:d]) & set(new[:d])) / d for d in range(1, depth + 1)]
    weighted_sum = sum(share * p**d for d, share in enumerate(agreement, 1))
    return agreement[-1] * p**depth + (1 - p) / p * weighted_sum


def _by_question(values: Mapping[str, float], name: str) -> "pd.Series":
    import pandas as pd

    return pd.Series(values, name=name)


def _tau(old: list[str], new: list[str]) -> float:
    from scipy.stats import kendalltau

    if old == new:
        return 1.0
    rows = sorted({*old, *new})
    old_ranks, new_ranks = (
        [ranking.index(row) if row in ranking else len(ranking) for row in rows]
        for ranking in (old, new)
    )
    tau = float(kendalltau(old_ranks, new_ranks).statistic)
    return 0.0 if math.isnan(tau) else tau  # NaN: an empty list ties all rows
