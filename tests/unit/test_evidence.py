import json
from dataclasses import replace

import numpy as np
import pytest

from ragkit.comparison import metrics
from ragkit.comparison.cutoff import Cutoff, Recalled
from ragkit.comparison.index_share import Point
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Changed
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.slices import Slice
from ragkit.comparison.variants import Variant
from ragkit.migration.verdict import Gate, Verdict
from tests.evidence import NEAR, SURE, asked, evidence, judged

CUTOFF = Cutoff(0.5, Interval(0.65, 0.64, 0.66), 0.97, np.zeros(1), np.zeros(1))
OLD = {f"q{n}": ["other", str(n)] for n in range(4)}
NEW = {f"q{n}": [str(n), "other"] for n in range(4)}


def plain(found):
    """As a file would hold it: no NaN, no array."""
    return json.loads(json.dumps(found.figures(), allow_nan=False))


def test_it_is_plain_data_with_every_figure_and_its_interval():
    everything = evidence(
        asked(judged(4), OLD, NEW), cutoff=replace(CUTOFF, recalled=Recalled(SURE, 0.9, 4)),
        slices=[Slice("length", "short", "nDCG@10", 4, SURE)],
        index=[Point("new", "v", "exact", True, SURE, 1.0, 2.0)],
        variants=[Variant("halfvec(2)", SURE, 50, 16, None)],
        shadow=Shadowed(10, 1, 0, SURE, 1.0, 2.0, "ModelBusy"),
    )  # fmt: skip
    found = plain(everything)
    assert list(found["metrics"]) == metrics.names(10)
    ndcg = found["metrics"]["nDCG@10"]
    assert {"old", "new", "change", "p", "n", "detectable"} <= set(ndcg)
    assert ndcg["new"] - ndcg["old"] == pytest.approx(ndcg["change"]["mean"])
    assert (found["overlap"]["mean"], found["shared_by"]) == (1.0, "questions")
    assert 0 < found["rbo"]["mean"] < 1
    assert found["tau"]["mean"] == -1.0
    assert found["cka"] == {"mean": 0.7, "low": 0.6, "high": 0.8}
    assert found["cutoff"]["recalled"]["new"]["mean"] == 0.7
    assert found["slices"][0]["change"]["low"] == 0.6
    assert found["index"][0]["recall"]["high"] == 0.8
    assert found["variants"][0]["neighbours"]["mean"] == 0.7
    assert found["shadow"]["overlap"]["mean"] == 0.7
    assert found["seed"] == 1


def test_without_questions_only_stored_vectors_speak():
    worst = replace(NEAR, worst=[Changed("a", "somebody's text", 0.1, "b", "c")])
    found = plain(evidence(near=worst, cutoff=CUTOFF))
    assert (found["metrics"], found["questions"], found["tau"]) == ({}, None, None)
    assert (found["overlap"]["mean"], found["shared_by"]) == (0.7, "stored vectors")
    assert found["neighbours"]["rows"] == 50
    assert "somebody" not in json.dumps(found)
    new = {"mean": 0.65, "low": 0.64, "high": 0.66}
    assert found["cutoff"] == {"old": 0.5, "new": new, "selectivity": 0.97, "recalled": None}


def test_one_question_has_no_figure_that_a_file_cannot_hold():
    one = {"q0": ["0", "1"]}
    assert plain(evidence(asked(judged(1), one, one)))["metrics"]["nDCG@10"]["detectable"] is None


def test_a_verdict_holds_the_evidence_beside_its_gates():
    found = Verdict.of([Gate("a", "1", "≥ 1", True)], evidence().figures()).as_json()
    assert (found["verdict"], found["seed"], found["gates"][0]["name"]) == ("GO", 1, "a")
