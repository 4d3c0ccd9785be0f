"""The first page of a run: what was migrated, the verdict and why, what changes for the users."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from humanize import precisedelta
from jinja2 import Environment, FileSystemLoader, select_autoescape

from ragkit.migration.rehearsal.record import RunFigures
from ragkit.migration.verdict import GO, NO_GO, Verdict
from ragkit.report import words
from ragkit.runbook.report_pages import sentences
from ragkit.runbook.report_pages.run_files import NARROW_TIMELINE, SERVICE, TIMELINE
from ragkit.runbook.runbook import Answer

FILES = (
    "plan.yaml",
    "summary.json",
    "comparison.json",
    "verdict.json",
    "rescue.json",
    "probe.jsonl",
)


def write_index(
    run_dir: Path,
    summary: dict[str, Any],
    verdict: Verdict | None,
    answer: Answer | None,
    faults: list[str],
) -> Path:
    """index.html, of what there is: no link to a page that was not written, no empty table."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape(),
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    stopped = summary["stopped"]
    page = run_dir / "index.html"
    body = environment.get_template("index.html").render(
        name=run_dir.name,
        headline=_headline(verdict, stopped),
        colour={GO: "go", NO_GO: "no"}.get(summary["verdict"] or "", "open"),
        facts=_facts(summary["run"]),
        next_step=sentences.next_step(verdict, stopped),
        answer=answer,
        faults=[] if stopped else faults,
        written={file.name for file in run_dir.iterdir()},
        files=FILES,
        timeline=TIMELINE,
        narrow_timeline=NARROW_TIMELINE,
        service=SERVICE,
        foretold=[words.facts(RunFigures(**row)) for row in summary.get("rehearsal", [])],
        **summary,
    )
    page.write_text(body, encoding="utf-8")
    return page


def _headline(verdict: Verdict | None, stopped: dict[str, str] | None) -> str:
    if stopped and not sentences.stopped_by_verdict(verdict, stopped):
        return f"Stopped in {stopped['notebook']}"
    return verdict.verdict if verdict else "No verdict"


def _facts(run: dict[str, Any]) -> dict[str, str]:
    """What the head of the page lists, by name."""
    started = datetime.fromisoformat(run["started"])
    facts = {
        "database": run["database"],
        "table": run["table"],
        "model": f"{run['old_model']} → {run['new_model']}",
        "column": f"{run['old_column']} → {run['new_column']}",
        "started": f"{started:%Y-%m-%d %H:%M} UTC",
        "duration": precisedelta(timedelta(seconds=round(run["seconds"])), format="%d"),
        "cost": run["cost"],
    }
    return {name: value for name, value in facts.items() if value}
