"""`ragkit rescue`: the old model is gone, and the app is down."""

import click

from ragkit.runbook.cli.commands.steps import open_migration
from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.notifications import notified
from ragkit.runbook.runbook import Runbook


@click.command("rescue")
@with_runbook
@click.option("--anyway", is_flag=True, help="Start although the app still answers.")
@notified("rescue")
def rescue_command(runbook: Runbook, terminal: Terminal, anyway: bool) -> None:
    """Answer by the new model at once, while its column is still filling."""
    from ragkit.runbook.rescue.report import write_rescue  # loads what few commands need
    from ragkit.runbook.rescue.steps import RescueRun

    rescue = RescueRun(runbook, anyway=anyway)
    open_migration(runbook, terminal)
    with terminal.working("asking the models and the app"):
        diagnosis = rescue.diagnose()
    terminal.record("diagnosis", diagnosis)
    with terminal.working("preparing the full text search") as report:
        started = rescue.start(report)
    terminal.record("rescue", started)
    terminal.line(rescue.outlook(), "quality")
    new_model = runbook.plan.new.model
    terminal.line(f"the one setting that changes: EMBEDDING_MODEL={new_model}", "setting")
    terminal.lines("commands", runbook.app.commands(new_model))
    with terminal.working("switching the app to the new model") as runbook.canary.also:
        switch = rescue.deploy()
    terminal.record("switch", switch)
    terminal.record("asked", runbook.ask())
    with terminal.working("fitting the bridge into the old column") as report:
        rescue.fit(report)
    for bridge in rescue.bridges()[-1:]:
        terminal.record("bridge", bridge)
    with terminal.working("asking the service some questions"):
        trial = rescue.ask()
    terminal.table("questions", trial.asked)
    terminal.fact("figures", str(write_rescue(rescue)))
    terminal.line("fill the column now: ragkit backfill", "next")
