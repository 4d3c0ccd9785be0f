"""Figures of two ranked runs: TREC measures through pytrec_eval, intervals by bootstrap.

nDCG as trec_eval's ndcg_cut (Järvelin and Kekäläinen 2002), linear gains.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytrec_eval
from scipy.stats import bootstrap

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


def names(k: int) -> list[str]:
    return [f"nDCG@{k}", f"recall@{k}", f"MRR@{k}"]


def per_question(qrels: Qrels, run: Run, k: int) -> pd.DataFrame:
    """One row a judged question, columns as in `names(k)`; a question without hits scores 0."""
    evaluator = pytrec_eval.RelevanceEvaluator(
        qrels, {f"ndcg_cut.{k}", f"recall.{k}", "recip_rank"}
    )
    # Scores are the ranks, so that trec_eval's own order of ties never reorders a run.
    cut = {q: {row: -float(i) for i, row in enumerate(run.get(q, [])[:k])} for q in qrels}
    found = evaluator.evaluate({q: rows for q, rows in cut.items() if rows})
    keys = (f"ndcg_cut_{k}", f"recall_{k}", "recip_rank")
    return pd.DataFrame(
        [[found.get(q, {}).get(key, 0.0) for key in keys] for q in qrels],
        index=pd.Index(qrels, name="question"),
        columns=names(k),
    )


def overlap(old: Run, new: Run, k: int) -> pd.Series:
    """Share of the first k rows that both runs have, by question."""
    return pd.Series(
        {q: len(set(old[q][:k]) & set(new[q][:k])) / max(min(k, len(old[q])), 1) for q in old},
        name=f"overlap@{k}",
    )


def interval(values: np.ndarray, seed: int) -> Interval:
    """Of the mean. Two values at least; equal values give an interval of no width."""
    values = np.asarray(values, float)
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    found = bootstrap(
        (values,), np.mean, method="percentile", n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE, rng=np.random.default_rng(seed),
    ).confidence_interval  # fmt: skip
    return Interval(float(values.mean()), float(found.low), float(found.high))
