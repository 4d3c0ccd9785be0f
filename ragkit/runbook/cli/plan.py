"""ragkit plan and ragkit apply: everything that will happen, reviewed before it does."""

from pathlib import Path

import click

from ragkit.errors import SchemaError
from ragkit.migration import phases
from ragkit.migration.inspection.rules import NOT_READY, Finding
from ragkit.migration.preview.preview import Preview
from ragkit.migration.preview.reviewed import ReviewedPlan, save
from ragkit.migration.preview.steps import CONCURRENT, EXCLUSIVE, ROWS, SHARE_ROW
from ragkit.migration.verdict import GO, read_verdict
from ragkit.runbook.cli.options import with_runbook, with_terminal
from ragkit.runbook.cli.steps import backfill, compare, cut_over
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.extras import needs_extra
from ragkit.runbook.parameters import run_folder
from ragkit.runbook.runbook import Runbook

DONE = (phases.CUT_OVER, phases.ROLLED_BACK, phases.RETIRED)
"""Phases in which a person decides what comes next."""
GITHUB = {"problem": "error", "warning": "warning", "note": "notice"}
"""Workflow commands of GitHub Actions, by severity."""


@click.command("plan")
@with_runbook
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it as JSON to review.")
@click.option("--html", type=click.Path(path_type=Path), help="Write it as a page.")
@click.option(
    "--format", "form", type=click.Choice(["text", "github"]), default="text",
    help="github: findings as annotations of a workflow.",
)  # fmt: skip
def plan_command(
    runbook: Runbook, terminal: Terminal, output: Path | None, html: Path | None, form: str
) -> None:
    """Show everything that will happen before anything happens. Exit 1 with problems."""
    try:
        with terminal.working("measuring"):
            preview = runbook.inspection.preview
    except SchemaError as error:
        found = [Finding(NOT_READY, "problem", "table", fault, "") for fault in error.faults]
        _show_findings(terminal, found, form)
        raise SystemExit(1) from None
    _show(terminal, preview)
    _show_findings(terminal, preview.findings, form)
    if output:
        terminal.fact("written", str(save(preview, output)))
    if html:
        with needs_extra("notebooks"):
            from ragkit.runbook.report_pages.plan_page import write_plan_page
        terminal.fact("page", str(write_plan_page(preview, html)))
    if any(finding.severity == "problem" for finding in preview.findings):
        raise SystemExit(1)


@click.command("apply")
@with_terminal
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--run-dir", default="", help="Where files are written.  [default: runs/lab]")
def apply_command(terminal: Terminal, plan: Path, run_dir: str) -> None:
    """Run a reviewed plan: backfill, comparison, cut-over. Continues where it stopped.

    Refused when the table, the contract or the code is another one than PLAN was made of.
    """
    stop_on_signals()
    reviewed = ReviewedPlan.load(plan)
    runbook = Runbook(reviewed.plan, run_folder(run_dir), reviewed)
    phase = runbook.migration.phase()
    if phase in DONE:
        terminal.line(f"nothing to do: {phase}; {phases.NEXT_STEPS[phase]}", "done")
        return
    backfill(runbook, terminal)
    verdict = read_verdict(runbook.migration)
    if verdict is None or verdict.verdict != GO:
        compare(runbook, terminal)
    cut_over(runbook, terminal)


def _show(terminal: Terminal, preview: Preview) -> None:
    terminal.record("figures", preview.figures)
    terminal.record("texts", preview.texts)
    terminal.table("statements", preview.on_the_table)
    for lock in (EXCLUSIVE, SHARE_ROW, CONCURRENT, ROWS):
        terminal.line(lock)
    own = len(preview.statements) - len(preview.on_the_table)
    terminal.line(f"{own} more statements make the schema ragkit; -o and --html show them too")
    terminal.lines("visible", preview.visible)
    terminal.table("limits", preview.limits)


def _show_findings(terminal: Terminal, findings: list[Finding], form: str) -> None:
    if form == "github":
        for finding in findings:
            terminal.line(_annotation(finding))
        return
    terminal.checks("findings", findings)


def _annotation(finding: Finding) -> str:
    """Source: GitHub Actions, "Workflow commands"."""
    text = f"{finding.observed}\n{finding.fix}".strip()
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, escaped)
    title = f"{finding.rule} {finding.name}".replace(":", "%3A").replace(",", "%2C")
    return f"::{GITHUB[finding.severity]} title={title}::{text}"
