"""`ragkit rescue`: the old model is gone, and the app is down."""

from dataclasses import dataclass

import click

from ragkit.migration.migration import Migration
from ragkit.migration.rescue.diagnosis import diagnose
from ragkit.migration.rescue.service import deploy_new_model, start_rescue
from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.steps import open_migration
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook


@dataclass(frozen=True)
class BridgeFound:
    """The overlap is that of held-out rows, with its interval; `refused` says why full text serves
    alone, "no" for a bridge that serves."""

    pairs: int
    bought: int
    foreign: int
    method: str
    overlap: str
    refused: str
    ended: str


@click.command("rescue")
@with_runbook
def rescue_command(runbook: Runbook, terminal: Terminal) -> None:
    """Answer by the new model at once, while its column is still filling."""
    migration = open_migration(runbook, terminal)
    with terminal.working("asking the models and the app"):
        diagnosis = diagnose(
            lambda: runbook.old_embedder, runbook.new_embedder, runbook.app, runbook.smoke_question
        )
    terminal.record("diagnosis", diagnosis)
    with terminal.working("preparing the full text search"):
        keep = migration.plan.rescue.pairs > 0  # until the new one is fitted
        rescue = start_rescue(migration, runbook.new_embedder, keep_bridge=keep)
    terminal.record("rescue", rescue)
    terminal.lines("commands", runbook.app.commands(migration.plan.new.model))
    with terminal.working("switching the app to the new model"):
        switch = deploy_new_model(migration, runbook.app, runbook.smoke_question)
    terminal.record("switch", switch)
    if migration.plan.rescue.pairs:
        _build_bridge(runbook, terminal, migration)
    terminal.line("fill the column now: ragkit backfill", "next")


def _build_bridge(runbook: Runbook, terminal: Terminal, migration: Migration) -> None:
    """While the app answers by full text already."""
    from ragkit.evaluation.bridge.sample import grow_sample  # loads what few commands need

    with terminal.working("fitting the bridge into the old column") as report:
        for fitting in grow_sample(migration, runbook.new_embedder, migration.plan.rescue.pairs):
            report(f"fitting the bridge into the old column: {fitting.result.pairs:,} pairs")
        start_rescue(migration, runbook.new_embedder, fitting.bridge)
    result = fitting.result
    found = BridgeFound(
        result.pairs, fitting.bought, result.foreign, result.method or "none",
        str(result.overlap or "none"), result.refused or "no", fitting.ended,
    )  # fmt: skip
    terminal.record("bridge", found)
