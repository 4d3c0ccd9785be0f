import json
from dataclasses import replace

import numpy as np
import pytest

from ragkit.evaluation.cutoff import CutoffCalibration, Shown
from ragkit.evaluation.index.loss import IndexLoss
from ragkit.evaluation.index.recall import IndexMeasurement
from ragkit.evaluation.label_free.neighbours import ChangedRow
from ragkit.evaluation.label_free.shadow_log import ShadowSummary
from ragkit.evaluation.label_free.storage import StorageVariant
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.slices import Slice
from ragkit.migration.verdict import Gate, Verdict
from tests.evaluation.example_evidence import (
    INTERVAL,
    NEIGHBOURHOODS,
    make_comparison,
    make_evidence,
    make_questions,
)

CUTOFF = CutoffCalibration(
    old=0.5,
    new=Interval(0.65, 0.64, 0.66),
    with_old=Shown(0.2, 3.0),
    unchanged=Shown(0.9, 0.5),
    with_new=Shown(0.2, 2.5),
    old_nearest=np.zeros(1),
    new_nearest=np.zeros(1),
)
OLD = {f"q{n}": ["other", str(n)] for n in range(4)}
NEW = {f"q{n}": [str(n), "other"] for n in range(4)}


def figures_in_file(evidence):
    """The figures after a round trip through JSON, which takes no NaN and no array."""
    return json.loads(json.dumps(evidence.figures(), allow_nan=False))


def test_the_figures_are_plain_data_with_intervals():
    measurement = IndexMeasurement(
        side="new", column="v", setting="exact", default=True, recall=INTERVAL, p50_ms=1.0,
        p95_ms=2.0, n=4, queries="questions",
    )  # fmt: skip
    shadow = ShadowSummary(
        requests=10, errors=1, dropped=0, overlap=INTERVAL, p95_ms=1.0, shadow_p95_ms=2.0,
        commonest_error="ModelBusy",
    )  # fmt: skip
    variant = StorageVariant(
        type="halfvec(2)", neighbours=INTERVAL, rows=50, bytes_per_vector=16, index_bytes=None
    )
    evidence = make_evidence(
        make_comparison(make_questions(4), OLD, NEW),
        cutoff=CUTOFF,
        losses=[IndexLoss("new", "hnsw.ef_search = 40", "nDCG@10", 0.7, 0.69, INTERVAL, 0)],
        slices=[Slice("length", "short", "nDCG@10", 4, INTERVAL)],
        index=[measurement],
        storage=[variant],
        shadow=shadow,
    )
    figures = figures_in_file(evidence)
    assert list(figures["metrics"]) == trec.metric_names(10)
    ndcg = figures["metrics"]["nDCG@10"]
    assert {"old", "new", "change", "p", "n", "detectable"} <= set(ndcg)
    assert ndcg["new"] - ndcg["old"] == pytest.approx(ndcg["change"]["mean"])
    assert (figures["overlap"]["mean"], figures["shared_by"]) == (1.0, "questions")
    assert 0 < figures["rbo"]["mean"] < 1
    assert figures["tau"]["mean"] == -1.0
    assert figures["cka"] == {"mean": 0.7, "low": 0.6, "high": 0.8}
    assert figures["cutoff"]["new"]["mean"] == 0.65
    assert figures["cutoff"]["unchanged"] == {"empty": 0.9, "rows": 0.5}
    assert figures["index_losses"][0]["served"] == 0.69
    assert figures["slices"][0]["change"]["low"] == 0.6
    assert figures["worst_slice"] == figures["slices"][0]
    assert figures["first_row_changed"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert figures["index"][0]["recall"]["high"] == 0.8
    assert figures["variants"][0]["neighbours"]["mean"] == 0.7
    assert figures["shadow"]["overlap"]["mean"] == 0.7
    assert figures["seed"] == 1


def test_the_keys_of_the_figures_do_not_change():
    """comparison.json is read by others."""
    figures = figures_in_file(make_evidence(make_comparison(make_questions(4), OLD, NEW)))
    assert list(figures) == [
        "seed", "questions", "metrics", "slices", "slices_left_out", "worst_slice", "shared_by",
        "first_row_changed", "overlap", "least_overlap", "rbo", "tau", "p50_ms", "p95_ms", "cka",
        "neighbours", "cutoff", "index", "index_losses", "variants", "shadow", "people", "hybrid",
    ]  # fmt: skip
    assert figures["questions"] == {
        "asked": 4, "judged": 4, "unanswerable": 0, "gone": 0, "proxy": False, "alike": 0,
        "unfindable": 0,
    }  # fmt: skip
    assert list(figures["neighbours"]) == [
        "k", "rows", "duplicates", "overlap", "rbo", "spearman", "cosine",
    ]  # fmt: skip
    assert figures["p50_ms"] == figures["p95_ms"] == {"old": 1.0, "new": 1.0}


def test_without_questions_the_figures_are_of_stored_vectors():
    changed = ChangedRow("a", "somebody's text", 0.1, "b", "c")
    neighbourhoods = replace(NEIGHBOURHOODS, most_changed=[changed])
    figures = figures_in_file(make_evidence(neighbourhoods=neighbourhoods))
    assert (figures["metrics"], figures["questions"], figures["tau"]) == ({}, None, None)
    assert (figures["first_row_changed"], figures["worst_slice"]) == (None, None)
    assert (figures["overlap"]["mean"], figures["shared_by"]) == (0.7, "stored vectors")
    assert figures["neighbours"]["rows"] == 50
    assert "somebody" not in json.dumps(figures)
    assert figures["cutoff"] is None


def test_one_question_gives_no_figure_that_json_cannot_hold():
    rankings = {"q0": ["0", "1"]}
    evidence = make_evidence(make_comparison(make_questions(1), rankings, rankings))
    assert figures_in_file(evidence)["metrics"]["nDCG@10"]["detectable"] is None


def test_a_verdict_holds_the_evidence_beside_its_gates():
    verdict = Verdict.of([Gate("a", "1", "≥ 1", True)], make_evidence().figures())
    data = verdict.as_json()
    assert (data["verdict"], data["seed"], data["gates"][0]["name"]) == ("GO", 1, "a")


def test_over_few_rows_the_lists_share_some_by_necessity():
    few = replace(NEIGHBOURHOODS, rows=10, duplicates=1)
    comparison = make_comparison(make_questions(4), OLD, NEW)
    assert make_evidence(comparison, neighbourhoods=few).least_overlap == pytest.approx(0.9)
    assert make_evidence(neighbourhoods=replace(few, rows=12)).least_overlap == pytest.approx(0.9)
    assert make_evidence(comparison).figures()["least_overlap"] == 0
