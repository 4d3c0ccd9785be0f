"""TREC measures of ranked lists, computed by pytrec_eval.

nDCG is trec_eval's ndcg_cut (Järvelin and Kekäläinen 2002) with linear gains.
"""

from typing import TYPE_CHECKING

import pytrec_eval

if TYPE_CHECKING:  # half a second, which only a comparison takes
    import pandas as pd

Qrels = dict[str, dict[str, int]]
"""Grades by question and row. 0 means judged and not relevant; a larger grade is better."""
Rankings = dict[str, list[str]]
"""Ranked rows by question, best first."""
MEASURES = {
    "nDCG": "ndcg_cut",
    "recall": "recall",
    "precision": "P",
    "MRR": "recip_rank",
    "MAP": "map_cut",
    "success": "success",
}
"""Names of the measures, and trec_eval's names for them."""


def metric_names(k: int) -> list[str]:
    """The columns of `score_questions`. nDCG and recall come first: they have gates."""
    return [f"{measure}@{k}" for measure in MEASURES]


def score_questions(qrels: Qrels, rankings: Rankings, k: int) -> "pd.DataFrame":
    """Scores of shape (judged questions, measures), with the columns `metric_names(k)`.

    A judged question with an empty or missing list scores 0. Lists are cut to k rows.
    """
    import pandas as pd

    measures = {name if name == "recip_rank" else f"{name}.{k}" for name in MEASURES.values()}
    evaluator = pytrec_eval.RelevanceEvaluator(qrels, measures)
    # Scores are negative ranks: trec_eval sorts by score, and its order of ties would change
    # the list.
    scored_rows = {
        question: {row: -float(rank) for rank, row in enumerate(rankings.get(question, [])[:k])}
        for question in qrels
    }
    results = evaluator.evaluate({q: rows for q, rows in scored_rows.items() if rows})
    keys = [name if name == "recip_rank" else f"{name}_{k}" for name in MEASURES.values()]
    return pd.DataFrame(
        [[results.get(question, {}).get(key, 0.0) for key in keys] for question in qrels],
        index=pd.Index(qrels, name="question"),
        columns=metric_names(k),
    )
