"""`ragkit rescue`: the old model is gone, and the app is down."""

import click

from ragkit.migration.rescue.diagnosis import diagnose
from ragkit.migration.rescue.service import deploy_new_model, start_rescue
from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.steps import open_migration
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook


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
        rescue = start_rescue(migration, runbook.new_embedder)
    terminal.record("rescue", rescue)
    terminal.lines("commands", runbook.app.commands(migration.plan.new.model))
    with terminal.working("switching the app to the new model"):
        switch = deploy_new_model(migration, runbook.app, runbook.smoke_question)
    terminal.record("switch", switch)
    terminal.line("fill the column now: ragkit backfill", "next")
