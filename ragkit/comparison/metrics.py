"""Figures of two ranked runs: TREC measures through pytrec_eval, intervals by bootstrap.

nDCG as trec_eval's ndcg_cut (Järvelin and Kekäläinen 2002), linear gains.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytrec_eval

from ragkit.comparison.questions import Qrels

Run = dict[str, list[str]]
"""Ranked rows by question, best first."""
RESAMPLES = 5000
CONFIDENCE = 0.90
"""Two-sided; so each bound alone errs in 5 %, which is the test a gate makes."""


@dataclass(frozen=True)
class Interval:
    """A mean with its percentile bootstrap interval (Efron 1979) at CONFIDENCE."""

    mean: float
    low: float
    high: float


MEASURES = {
    "nDCG": "ndcg_cut", "recall": "recall", "precision": "P", "MRR": "recip_rank",
    "MAP": "map_cut", "success": "success",
}  # fmt: skip
"""Ours and trec_eval's names."""


def names(k: int) -> list[str]:
    """nDCG and recall first: they are gated."""
    return [f"{name}@{k}" for name in MEASURES]


def per_question(qrels: Qrels, run: Run, k: int) -> pd.DataFrame:
    """One row a judged question, columns as in `names(k)`; a question without hits scores 0."""
    cut = [name for name in MEASURES.values() if name != "recip_rank"]
    evaluator = pytrec_eval.RelevanceEvaluator(
        qrels, {"recip_rank", *(f"{name}.{k}" for name in cut)}
    )
    # Scores are the ranks, so that trec_eval's own order of ties never reorders a run.
    shown = {q: {row: -float(i) for i, row in enumerate(run.get(q, [])[:k])} for q in qrels}
    found = evaluator.evaluate({q: rows for q, rows in shown.items() if rows})
    keys = [name if name == "recip_rank" else f"{name}_{k}" for name in MEASURES.values()]
    return pd.DataFrame(
        [[found.get(q, {}).get(key, 0.0) for key in keys] for q in qrels],
        index=pd.Index(qrels, name="question"),
        columns=names(k),
    )


def interval(
    values: np.ndarray, seed: int, weights: np.ndarray | None = None,
    confidence: float = CONFIDENCE,
) -> Interval:  # fmt: skip
    """Of the mean, weighted where there are weights. Equal values give one of no width."""
    from scipy.stats import bootstrap  # takes a second, and most commands compare nothing

    values = np.asarray(values, float)
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    weights = np.ones_like(values) if weights is None else np.asarray(weights, float)
    found = bootstrap(
        (values, weights), _weighted, method="percentile", n_resamples=RESAMPLES, paired=True,
        confidence_level=confidence, rng=np.random.default_rng(seed), vectorized=True,
    ).confidence_interval  # fmt: skip
    return Interval(float(_weighted(values, weights)), float(found.low), float(found.high))


def _weighted(values: np.ndarray, weights: np.ndarray, axis: int = -1) -> np.ndarray:
    return (values * weights).sum(axis=axis) / weights.sum(axis=axis)
