"""The summary of a run, as run_files writes it, with the figures of a small comparison."""

from dataclasses import asdict

from ragkit.deploy.probe import Summary
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.metrics.significance import MetricDifference
from ragkit.evaluation.slices import Slice
from ragkit.runbook.report_pages import sentences
from tests.evaluation.example_evidence import make_comparison, make_evidence, make_questions

CHANGE = Interval(0.046, 0.019, 0.074)
NDCG = MetricDifference("nDCG@10", 0.551, 0.597, CHANGE, 0.01, 280, 0.04, 121, 64, 95)
WORST = Slice("length", "1-2 words", "nDCG@10", 83, Interval(-0.067, -0.136, -0.001))
BEST = Slice("length", "6 words and more", "nDCG@10", 131, Interval(0.1, 0.05, 0.2))
OLD = {f"q{n}": ["other", str(n)] for n in range(4)}
NEW = {f"q{n}": [str(n), "other"] if n else OLD["q0"] for n in range(4)}
FIGURES = {
    **make_evidence(
        make_comparison(make_questions(4), OLD, NEW), differences=[NDCG], slices=[BEST, WORST]
    ).figures(),
    "p50_ms": {"old": 1.2, "new": 5.8},
}
"""Of four questions three have another first row."""


def make_summary(verdict=None, **parts):
    """Without a probe and without a notebook; `parts` replace its fields."""
    return {
        "verdict": verdict.verdict if verdict else None,
        "why": sentences.why(verdict) if verdict else None,
        "override": None,
        "stopped": None,
        "run": {
            "database": "shop at db.example.com",
            "table": "public.amenities",
            "old_model": "old-model",
            "new_model": "new-model",
            "old_column": "embedding",
            "new_column": "embedding_2",
            "started": "2026-11-25T21:39:05+00:00",
            "seconds": 66.2,
            "cost": "nothing: no model was paid for",
        },
        "what_changes": sentences.what_changes(verdict.figures) if verdict else [],
        "gates": [asdict(gate) for gate in verdict.gates] if verdict else [],
        "figures": verdict.figures if verdict else {},
        "probe": {**asdict(Summary(0, 0, 0.0, 0.0, 0.0)), "p95_ms_by_model": {}},
        "seconds": {},
        "versions": {},
        **parts,
    }
