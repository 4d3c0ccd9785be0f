"""The names: as Prometheus wants them, and as the page tells them."""

import re
from datetime import UTC, datetime

import pytest
import yaml

from ragkit.migration.backfill.model_calls.costs import BATCHES, QUESTIONS, ModelCost
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.control.settings import Settings
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.rehearsal.money import REHEARSAL
from ragkit.migration.schema.index.current import BuildProgress, IndexState
from ragkit.migration.work.jobs import JobCounts
from ragkit.migration.work.queue import Depth
from ragkit.migration.work.sweep_state import SweepState
from ragkit.runbook.metrics.families import families
from ragkit.runbook.metrics.figures import Figures, Work
from tests.conftest import ROOT, make_plan

PLAN = make_plan({"backfill.budget_usd": 2.0})
EVERYTHING = Figures(
    phase="expanded",
    rows=RowCounts(10, 4, 3, 2, 1),
    work=Work(SweepState(9, 3, 1), Depth(5, 60.0), JobCounts(running=2, rows=50), 1,
              {"backfill": 4}),
    costs=[ModelCost(f"m{kind}", 1, 2, 0.5) for kind in ("", QUESTIONS, BATCHES, REHEARSAL)],
    spent_usd=2.5,
    quota=Quota(1500, 1_000_000),
    quota_wait_seconds=0.2,
    settings=Settings(paused=True, by="ana:1", at=datetime.now(UTC)),
    is_closed=False,
    index=IndexState("i", True, False, 8192),
    build=BuildProgress("building index: loading tuples", 30, 40),
)  # fmt: skip
PAGE = (ROOT / "docs" / "what-happens.md").read_text()
SECTION = PAGE.partition("### Being watched")[2].partition("\n## ")[0]


@pytest.fixture
def told():
    return {metric.name: metric for metric in families({"m": (PLAN, EVERYTHING)})}


def exposed(told):
    return {f"{n}_total" if metric.type == "counter" else n for n, metric in told.items()}


def test_a_counter_only_grows_and_a_gauge_has_no_total(told):
    counters = {name for name, metric in told.items() if metric.type == "counter"}
    assert counters == {"ragkit_requests", "ragkit_tokens", "ragkit_spent_usd"}
    gauges = told.keys() - counters
    assert not [name for name in gauges if name.endswith(("_total", "_count", "_sum", "_bucket"))]
    assert not [name for name in told if re.search(r"_(ms|minutes|percent|mb|milli\w*)$", name)]
    assert all(metric.documentation for metric in told.values())


def test_states_and_kinds_add_up(told):
    rows = told["ragkit_rows"].samples
    assert sum(sample.value for sample in rows) == EVERYTHING.rows.rows
    kinds = {s.labels["kind"]: s.labels["model"] for s in told["ragkit_spent_usd"].samples}
    assert kinds == dict.fromkeys(("rows", "questions", "batches", "rehearsal"), "m")
    assert told["ragkit_budget_left_usd"].samples[0].value == 0
    assert told["ragkit_index_build_ratio"].samples[0].value == 0.75


def test_a_migration_that_did_not_answer_tells_nothing_beside_another_one():
    looks = {"up": (PLAN, EVERYTHING), "down": (PLAN, None)}
    found = {
        sample.name
        for metric in families(looks)
        for sample in metric.samples
        if sample.labels.get("migration") == "down"
    }
    assert found == {"ragkit_up"}


def test_the_page_has_every_metric(told):
    cells = "\n".join(re.findall(r"^\| ([^|]+) \|", SECTION, re.MULTILINE))
    assert set(re.findall(r"`(ragkit_\w+)`", cells)) == exposed(told)


def test_what_the_page_asks_for_is_told(told):
    alerts = next(part for part in SECTION.split("```") if part.startswith("\ngroups:"))
    rules = yaml.safe_load(alerts)["groups"][0]["rules"]
    asked = set(re.findall(r"\bragkit_\w+", SECTION))
    assert len(rules) == 3 and all(re.search(r"ragkit_\w+", rule["expr"]) for rule in rules)
    assert asked == exposed(told)
