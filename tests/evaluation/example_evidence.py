"""Comparisons and evidence made from given rankings, for tests of what is made of them."""

import numpy as np
import pandas as pd

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.label_free.neighbours import Neighbourhoods
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.metrics.significance import metric_differences
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import RetrievalRun

INTERVAL = Interval(0.7, 0.6, 0.8)
NEIGHBOURHOODS = Neighbourhoods(
    k=10,
    rows=50,
    duplicates=2,
    overlap=INTERVAL,
    rbo=INTERVAL,
    spearman=INTERVAL,
    cka=INTERVAL,
    cosine=None,
    by_row=np.full(50, 0.7),
    most_changed=[],
)


def make_comparison(questions, old, new, latency_ms=1.0, texts=None, k=10):
    """`old` and `new` are rankings. A relevant row has distance 0.4 in the old space and 0.6 in
    the new one."""
    runs = [
        _run("old-model", questions, old, 0.4, latency_ms),
        _run("new-model", questions, new, 0.6, latency_ms),
    ]
    rows = {row for run in runs for ranking in run.rankings.values() for row in ranking}
    return Comparison.of(
        k=k,
        questions=questions,
        old=runs[0],
        new=runs[1],
        labels={row: f"Row {row}" for row in rows},
        texts=texts or {row: f"<i>text</i> {row}" for row in rows},
    )


def make_evidence(comparison=None, seed=1, **parts):
    """Evidence of a comparison and of stored vectors; `parts` replace its fields."""
    if "differences" not in parts:
        is_judged = comparison is not None and comparison.questions.qrels
        parts["differences"] = (
            metric_differences(comparison.old_scores, comparison.new_scores, seed)
            if is_judged
            else []
        )
    defaults = {
        "slices": [], "left_out": [], "neighbourhoods": NEIGHBOURHOODS, "cutoff": None, "index": [],
        "storage": [], "shadow": None,
    }  # fmt: skip
    return Evidence(seed=seed, comparison=comparison, **{**defaults, **parts})


def make_questions(count, **fields):
    """Question n is answered by the row with the key n."""
    names = [f"q{n}" for n in range(count)]
    return QuestionSet(
        {name: f"question {name}" for name in names},
        {name: {str(n): 1} for n, name in enumerate(names)},
        **fields,
    )


def _run(model, questions, rankings, distance, latency_ms):
    pairs = [
        (question, row)
        for question, grades in questions.qrels.items()
        for row, grade in grades.items()
        if grade > 0
    ]
    index = pd.MultiIndex.from_tuples(pairs, names=["question", "row"]) if pairs else None
    distances = pd.Series(distance, index, float)
    return RetrievalRun(model, rankings, np.full(len(rankings), latency_ms), distances)
