"""Comparisons and evidence made from given rankings, for tests of what is made of them."""

from dataclasses import replace

import numpy as np

from ragkit.evaluation.comparison import Comparison
from ragkit.evaluation.evidence import Evidence
from ragkit.evaluation.label_free.neighbours import Neighbourhoods
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.metrics.significance import metric_differences
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.runs import RetrievalRun, Searched

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
    """`old` and `new` are rankings. Rows lie at distances from 0.4 in the old space and from 0.6
    in the new one."""
    runs = [
        make_run("old-model", old, latency_ms, 0.4),
        make_run("new-model", new, latency_ms, 0.6),
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
        "losses": [], "storage": [], "shadow": None,
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


def make_run(model, rankings, latency_ms=1.0, nearest=0.4, served=None):
    """`served` are the rankings by an index, where there is one."""
    times = np.full(len(rankings), latency_ms)
    distances = {q: nearest + 0.01 * np.arange(len(rows)) for q, rows in rankings.items()}
    exact = Searched("exact", rankings, distances, times)
    by_index = Searched("hnsw.ef_search = 40", served, distances, times) if served else exact
    vectors = {question: np.ones(2) for question in rankings}
    return RetrievalRun(model, vectors, np.zeros(len(rankings)), exact, by_index)


def with_distances(comparison, old, new):
    """The comparison with these distances, of shape (questions, k)."""
    runs = []
    for run, distances in ((comparison.old, old), (comparison.new, new)):
        exact = replace(run.exact, distances=dict(zip(run.rankings, distances, strict=True)))
        runs.append(replace(run, exact=exact, served=exact))
    return replace(comparison, old=runs[0], new=runs[1])
