"""`ragkit rehearse`: the whole migration on a sample, before anything is changed."""

from datetime import UTC, datetime
from pathlib import Path

import click

from ragkit.migration.progress import dead_letters
from ragkit.migration.rehearsal.forecast import explain
from ragkit.runbook.cli.commands.steps import open_migration
from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.notifications import notified
from ragkit.runbook.parameters import run_folder
from ragkit.runbook.runbook import Runbook

SHARE = 0.01
SHOWN_LETTERS = 20


@click.command("rehearse")
@with_runbook
@click.option(
    "--share", type=click.FloatRange(0, 1, min_open=True), default=SHARE, show_default=True,
    help="Of the rows, how many are copied.",
)  # fmt: skip
@click.option("--clone", default="", metavar="URL", help="Copy in a clone of the database.")
@click.option("--clean", is_flag=True, help="Only remove what a killed rehearsal has left.")
@notified("rehearse")
def rehearse_command(
    runbook: Runbook, terminal: Terminal, share: float, clone: str, clean: bool
) -> None:
    """Run the whole migration on a sample of the table, in a schema of its own, and remove it.

    Says what the real one will take. The table itself is only read; the sample's texts go to the
    model, and cost what they cost.
    """
    from ragkit.runbook.rehearsal.report import (  # loads what only a comparison needs
        quality,
        write_rehearsal,
    )
    from ragkit.runbook.rehearsal.steps import Rehearsal

    rehearsal = Rehearsal(runbook, share, clone)
    open_migration(rehearsal.place, terminal)
    if clean:
        left = rehearsal.clean()
        terminal.line(f"removed: a rehearsal of {left}" if left else "nothing was left", "cleaned")
        return
    with rehearsal:
        with terminal.working("copying the sample"):
            terminal.record("sample", rehearsal.copy())
        terminal.line(rehearsal.scratch.check_questions(), "questions")
        terminal.line(rehearsal.scratch.check_long_texts(), "long_texts")
        terminal.progress("progress", rehearsal.fill())
        with terminal.working("building the index") as report:
            rehearsal.build(report)
        refused = dead_letters.list_all(rehearsal.scratch.migration)
        terminal.table("dead_letters", refused[:SHOWN_LETTERS])
        with terminal.working("comparing both columns"):
            rehearsal.compare()
        forecast = rehearsal.forecast()
        explained = explain(runbook.migration, rehearsal.sample, forecast)
        terminal.checks("gates", rehearsal.verdict.gates if rehearsal.verdict else [])
        terminal.record("measured", rehearsal.measured)
        terminal.record("quality", quality(rehearsal))
        terminal.record("forecast", forecast)
        terminal.lines("explained", explained)
        folder = _folder(runbook)
        terminal.fact("written", write_rehearsal(rehearsal, forecast, explained, folder))
    terminal.line("the sample is removed; the forecast and its cost are in the ledger", "removed")


def _folder(runbook: Runbook) -> Path:
    """One of its own, unless --run-dir names one."""
    if runbook.run_dir != run_folder(""):
        return runbook.run_dir
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    return runbook.run_dir.parent / f"{stamp}-rehearsal"
