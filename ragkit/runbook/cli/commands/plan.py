"""ragkit plan and ragkit apply: everything that will happen, reviewed before it does."""

from collections.abc import Sequence
from pathlib import Path

import click

from ragkit.errors import ConfigError, SchemaError
from ragkit.migration import phases
from ragkit.migration.inspection.rules import NOT_READY, Finding
from ragkit.migration.preview.preview import Preview
from ragkit.migration.preview.reviewed import save
from ragkit.migration.preview.steps import CONCURRENT, EXCLUSIVE, ROWS, SHARE_ROW
from ragkit.migration.tables.costs import add_up
from ragkit.migration.verdict import GO, read_verdict
from ragkit.runbook.cli.commands.steps import backfill, compare_each, cut_over
from ragkit.runbook.cli.options import for_each_table, with_runbooks, with_terminal
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.extras import needs_extra
from ragkit.runbook.parameters import run_folder
from ragkit.runbook.runbook import Runbook
from ragkit.runbook.tables.folders import table_folder

DONE = (phases.CUT_OVER, phases.ROLLED_BACK, phases.RETIRED)
"""Phases in which a person decides what comes next."""
GITHUB = {"problem": "error", "warning": "warning", "note": "notice"}
"""Workflow commands of GitHub Actions, by severity."""


@click.command("plan")
@with_runbooks
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write it as JSON to review.")
@click.option("--html", type=click.Path(path_type=Path), help="Write it as a page.")
@click.option(
    "--format", "form", type=click.Choice(["text", "github"]), default="text",
    help="github: findings as annotations of a workflow.",
)  # fmt: skip
def plan_command(
    runbooks: Sequence[Runbook],
    terminal: Terminal,
    output: Path | None,
    html: Path | None,
    form: str,
) -> None:
    """Show everything that will happen before anything happens. Exit 1 with problems."""
    if output and len(runbooks) <= len(runbooks[0].plan.siblings):
        raise ConfigError("-o writes all tables, which are switched together: leave out --table")
    previews: list[Preview] = []
    shown: list[Finding] = []

    def step(runbook: Runbook) -> None:
        try:
            with terminal.working("measuring"):
                preview = runbook.inspection.preview
        except SchemaError as error:
            found = [Finding(NOT_READY, "problem", "table", fault, "") for fault in error.faults]
        else:
            _show(terminal, preview)
            found = preview.findings
            previews.append(preview)
        _show_findings(terminal, found, form)
        shown.extend(found)

    for_each_table(runbooks, terminal, step)
    if len(previews) < len(runbooks):
        raise SystemExit(1)
    costs = add_up([runbook.migration for runbook in runbooks], previews)
    if len(runbooks) > 1:
        terminal.record("all_tables", costs)
    if finding := costs.finding():
        _show_findings(terminal, [finding], form, "budget")
        shown.append(finding)
    if output:
        terminal.fact("written", str(save(previews, output)))
    if html:
        _write_pages(terminal, runbooks, previews, html)
    if any(finding.severity == "problem" for finding in shown):
        raise SystemExit(1)


def _write_pages(
    terminal: Terminal, runbooks: Sequence[Runbook], previews: Sequence[Preview], html: Path
) -> None:
    """One for each table; of several, with the number and name of the table in the file's name."""
    with needs_extra("notebooks"):
        from ragkit.runbook.report_pages.plan_page import write_plan_page
    for runbook, preview in zip(runbooks, previews, strict=True):
        page = table_folder(html, runbook.plan)
        if page != html:
            page = html.with_name(f"{html.stem}-{page.name}{html.suffix}")
        name = "page" if len(runbooks) == 1 else f"page of {runbook.plan.name}"
        terminal.fact(name, str(write_plan_page(preview, page)))


@click.command("apply")
@with_terminal
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--run-dir", default="", help="Where files are written.  [default: runs/lab]")
def apply_command(terminal: Terminal, plan: Path, run_dir: str) -> None:
    """Run a reviewed plan: backfill, comparison, cut-over. Continues where it stopped.

    Refused when the table, the contract or the code is another one than PLAN was made of.
    """
    stop_on_signals()
    runbooks = Runbook.reviewed_of(plan, run_folder(run_dir))
    phase_of = {runbook.plan.name: runbook.migration.phase() for runbook in runbooks}
    if all(phase in DONE for phase in phase_of.values()):
        phase = next(iter(phase_of.values()))
        terminal.line(f"nothing to do: {phase}; {phases.NEXT_STEPS[phase]}", "done")
        return
    open_ones = [runbook for runbook in runbooks if phase_of[runbook.plan.name] not in DONE]
    for_each_table(open_ones, terminal, lambda runbook: backfill(runbook, terminal))
    compare_each([one for one in open_ones if not _is_go(one)], terminal)
    for_each_table(open_ones, terminal, lambda runbook: cut_over(runbook, terminal))


def _is_go(runbook: Runbook) -> bool:
    verdict = read_verdict(runbook.migration)
    return verdict is not None and verdict.verdict == GO


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


def _show_findings(
    terminal: Terminal, findings: list[Finding], form: str, name: str = "findings"
) -> None:
    if form == "github":
        for finding in findings:
            terminal.line(_annotation(finding))
        return
    terminal.checks(name, findings)


def _annotation(finding: Finding) -> str:
    """Source: GitHub Actions, "Workflow commands"."""
    text = f"{finding.observed}\n{finding.fix}".strip()
    for character, escaped in (("%", "%25"), ("\r", "%0D"), ("\n", "%0A")):
        text = text.replace(character, escaped)
    title = f"{finding.rule} {finding.name}".replace(":", "%3A").replace(",", "%2C")
    return f"::{GITHUB[finding.severity]} title={title}::{text}"
