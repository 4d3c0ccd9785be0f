import json
import stat

import pytest

from ragkit.deploy.app import Revision
from ragkit.migration.cutover import TrafficSwitch
from ragkit.migration.verdict import Gate, Verdict
from ragkit.runbook.report_pages.results import write_comparison, write_verdict
from tests.runbook.report_pages.example_summary import FIGURES

VERDICT = Verdict.of([Gate("a", "1", "≥ 1", True)], FIGURES)


def test_the_verdict_is_the_comparison_with_what_serves_now(tmp_path):
    folder = tmp_path / "run"
    compared = json.loads(write_comparison(folder, VERDICT).read_text())
    switch = TrafficSwitch(Revision("rev-1", "new-model"), '{"results": [{"name": "tea"}]}', False)
    decided = json.loads(write_verdict(folder, VERDICT, switch).read_text())
    assert compared["verdict"] == "GO"
    assert compared["gates"] == [{"name": "a", "observed": "1", "limit": "≥ 1", "passed": True}]
    assert compared["worst_slice"]["name"] == "1-2 words"
    serving = {"serving": "new-model", "answer": {"results": [{"name": "tea"}]}}
    assert decided == {**compared, **serving}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_number_that_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(ValueError, match="JSON compliant"):
        write_comparison(tmp_path, Verdict.of([], {"x": float("nan")}))
