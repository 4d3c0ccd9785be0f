import json

import pytest
import yaml

from ragkit.migration.backfill.model_calls.costs import ModelCost
from ragkit.migration.plan import Plan
from ragkit.migration.verdict import Gate, Verdict
from ragkit.runbook import Runbook
from ragkit.runbook.report_pages import run_files
from tests.conftest import changed
from tests.runbook.report_pages.example_summary import FIGURES

PHASES = [("01_inspect", 1_000_000.0, 1_000_004.5), ("02_backfill", 1_000_005.0, 1_000_066.0)]
VERDICT = Verdict.of([Gate("a", "1", "≥ 1", True)], FIGURES)


@pytest.fixture
def runbook(engine, plan, amenities, monkeypatch, tmp_path):
    def make(changes=None):
        monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
        values = yaml.safe_dump(changed(plan, changes or {}).model_dump(by_alias=True))
        return Runbook(Plan.of(yaml.safe_load(values)), tmp_path)

    return make


def log_requests(folder, *requests):
    lines = [
        {"due": due, "ms": ms, "status": 200, "model": model, "error": None}
        for due, ms, model in requests
    ]
    (folder / "probe.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_the_summary_has_facts_sentences_and_the_probe_by_model(runbook, tmp_path):
    log_requests(tmp_path, (1, 5.0, "old"), (2, 7.0, "old"), (3, 20.0, "new"))
    summary = run_files.write_summary(runbook(), VERDICT, PHASES, None)
    assert summary == json.loads((tmp_path / "summary.json").read_text())
    assert (summary["verdict"], summary["stopped"]) == ("GO", None)
    assert summary["why"].startswith("Every one of 1 gates passed; nDCG@10 +0.046")
    assert len(summary["what_changes"]) == 4
    assert summary["probe"]["p95_ms_by_model"] == {"old": 6.9, "new": 20.0}
    assert summary["seconds"] == {"01_inspect": 4.5, "02_backfill": 61.0}
    run = summary["run"]
    assert run["table"] == "public.Amenities"
    assert (run["started"], run["seconds"]) == ("1970-01-12T13:46:40+00:00", 66.0)
    assert run["cost"] == "nothing: no model was paid for"
    assert run["database"] == runbook().migration.database


def test_a_run_without_a_verdict_has_what_there_is(runbook):
    stopped = {"notebook": "01_inspect", "reason": "no such table"}
    broken = runbook({"table.name": "nothing"})
    summary = run_files.write_summary(broken, None, PHASES[:1], stopped)
    assert summary["stopped"] == stopped
    assert (summary["verdict"], summary["why"], summary["what_changes"]) == (None, None, [])
    assert summary["run"]["cost"] is None
    assert summary["run"]["database"] == runbook().migration.database
    assert summary["probe"]["requests"] == 0


def test_the_cost_is_that_of_all_models():
    costs = [ModelCost("old", 2, 1_000, 0.25), ModelCost("new", 10, 20_000, 1.0)]
    assert run_files.cost_in_words(costs) == "$1.2500: 21,000 tokens in 12 requests"
    free = [ModelCost("plug-in", 2, 1_000, 0.0)]
    assert run_files.cost_in_words(free) == (
        "no price in the catalogue: 1,000 tokens in 2 requests"
    )


def test_there_are_pictures_of_what_there_is(tmp_path):
    run_files.write_pictures(tmp_path, None, PHASES, "old")
    assert list(tmp_path.iterdir()) == []
    log_requests(tmp_path, (1_000_006, 5.0, "old"), (1_000_007, 7.0, "new"))
    run_files.write_pictures(tmp_path, VERDICT, PHASES, "old")
    pictures = {file.name for file in tmp_path.glob("*.png")}
    assert pictures == {"gates.png", "timeline.png", "timeline-narrow.png"}
