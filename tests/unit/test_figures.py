import json

import numpy as np
import pytest

from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison, Side
from ragkit.comparison.cutoff import Cutoff
from ragkit.comparison.figures import figures
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Neighbourhoods
from ragkit.comparison.questions import Judged
from ragkit.migration.verdict import Gate, Verdict

NEAR = Neighbourhoods(10, 50, Interval(0.7, 0.6, 0.8), 0.9, None, np.full(50, 0.7), [])
CUTOFF = Cutoff(0.5, Interval(0.65, 0.64, 0.66), 0.97, np.zeros(1), np.zeros(1))
VERDICT = Verdict.of([Gate("a", "1", "≥ 1", True)], {})


def test_it_is_plain_data_with_every_figure_and_its_interval():
    qrels = {"q1": {"a": 2}, "q2": {"b": 1}}
    old, new = {"q1": ["b", "a"], "q2": ["a", "b"]}, {"q1": ["a", "b"], "q2": ["a", "b"]}
    scores = [metrics.per_question(qrels, run, 10) for run in (old, new)]
    asked = Comparison(
        10, Judged({"q1": "x", "q2": "y"}, qrels), Side("o", old, np.ones(2)),
        Side("n", new, np.ones(2)), *scores, metrics.overlap(old, new, 10),
        metrics.rbo(old, new, 10), {}, {},
    )  # fmt: skip
    found = json.loads(json.dumps(figures(asked, NEAR, None, VERDICT, 1)))
    assert list(found["metrics"]) == metrics.names(10)
    ndcg = found["metrics"]["nDCG@10"]
    assert {"old", "new", "change", "p", "n", "detectable"} <= set(ndcg)
    assert ndcg["new"] - ndcg["old"] == pytest.approx(ndcg["change"]["mean"])
    assert found["overlap"]["mean"] == 1.0
    assert 0 < found["rbo"]["mean"] < 1
    assert (found["verdict"], found["seed"], found["cka"]) == ("GO", 1, 0.9)


def test_without_questions_only_stored_vectors_speak():
    found = figures(None, NEAR, CUTOFF, VERDICT, 1)
    assert (found["metrics"], found["overlap"], found["rbo"]) == ({}, None, None)
    assert found["neighbours"] == {"k": 10, "rows": 50, "mean": 0.7, "low": 0.6, "high": 0.8}
    new = {"mean": 0.65, "low": 0.64, "high": 0.66}
    assert found["cutoff"] == {"old": 0.5, "new": new, "selectivity": 0.97}
