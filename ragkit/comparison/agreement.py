"""How alike two ranked lists are: needs no judgement, says "different", never "worse"."""

import math

import pandas as pd

from ragkit.comparison.metrics import Run


def overlap(old: Run, new: Run, k: int) -> pd.Series:
    """Share of the first k rows that both runs have, by question."""
    return pd.Series(
        {q: len(set(old[q][:k]) & set(new[q][:k])) / max(min(k, len(old[q])), 1) for q in old},
        name=f"overlap@{k}",
    )


def rbo(old: Run, new: Run, k: int) -> pd.Series:
    """`rank_biased` by question."""
    return pd.Series({q: rank_biased(old[q][:k], new[q][:k]) for q in old}, name=f"rbo@{k}")


def kendall(old: Run, new: Run, k: int) -> pd.Series:
    """Kendall's tau-b by question, over the rows of either list: 1.0 for the same order, -1.0 for
    no common row. Rows that one list leaves out are tied behind its last (Fagin et al. 2003)."""
    return pd.Series({q: _tau(old[q][:k], new[q][:k]) for q in old}, name=f"tau@{k}")


def rank_biased(old: list, new: list, p: float = 0.9) -> float:
    """Rank-biased overlap, extrapolated from lists of one length (Webber, Moffat and Zobel 2010,
    equation 30): 1.0 for the same order, 0.0 for no common item; the first weigh most, p = 0.9
    gives the first ten 86 % of the weight."""
    depth = min(len(old), len(new))
    if not depth:
        return 1.0 if old == new else 0.0
    shared = [len(set(old[:d]) & set(new[:d])) / d for d in range(1, depth + 1)]
    seen = sum(share * p**d for d, share in enumerate(shared, 1))
    return shared[-1] * p**depth + (1 - p) / p * seen


def _tau(old: list[str], new: list[str]) -> float:
    from scipy.stats import kendalltau  # see metrics.interval

    if old == new:
        return 1.0
    rows = sorted({*old, *new})
    ranks = [[side.index(row) if row in side else len(side) for row in rows] for side in (old, new)]
    found = float(kendalltau(*ranks).statistic)
    return 0.0 if math.isnan(found) else found  # an empty list ties all
