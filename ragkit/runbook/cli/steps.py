"""The steps of a migration as commands."""

import threading
from dataclasses import asdict
from typing import Any

import click

from ragkit.migration import cutover, retirement
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.metering import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection import inventory
from ragkit.migration.inspection.cost import estimate_cost
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import recheck_verdict, require_go
from ragkit.runbook.cli.options import with_runbook
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.report_pages.results import write_comparison, write_verdict
from ragkit.runbook.runbook import Runbook


@click.command("inspect")
@with_runbook
def inspect_command(runbook: Runbook) -> None:
    """Show what is there, what is missing and what the backfill will cost. Changes nothing."""
    click.echo(runbook.check_questions())
    for column in inventory.vector_columns(runbook.migration):
        _print(column)
    for table_index in inventory.indexes(runbook.migration):
        _print(table_index)
    _print(inventory.text_statistics(runbook.migration))
    cost = estimate_cost(runbook.migration, runbook.new_embedder)
    _print(cost)
    for check in runbook.readiness(cost):
        _print(check)


@click.command("backfill")
@with_runbook
@click.option("--retry", is_flag=True, help="Retry the rows that the model refused.")
def backfill_command(runbook: Runbook, retry: bool) -> None:
    """Add the new column, fill it while the app serves, and index it."""
    migration = _open(runbook)
    click.echo(runbook.check_questions())
    if retry:
        click.echo(f"{dead_letters.clear(migration)} dead letters are pending again")
    added = expand(migration)
    click.echo(f"column {migration.plan.new.column}: {'added' if added else 'was there'}")
    for step in run_backfill(migration, runbook.new_embedder, probe_log=runbook.probe_log):
        click.echo(f"{step.done:,} of {step.total:,} rows, {step.rate:,.0f} rows/s")
    _print(index.build(migration))
    for item in (*dead_letters.list_all(migration), *read_costs(migration)):
        _print(item)


@click.command("follow")
@with_runbook
def follow_command(runbook: Runbook) -> None:
    """Keep embedding what people write, until stopped (Ctrl-C or SIGTERM)."""
    stop = threading.Event()
    stop_on_signals(stop)
    migration = _open(runbook)
    click.echo("following; stop with Ctrl-C")
    new, old, done = runbook.new_embedder, runbook.old_embedder_or_none(), None
    for step in follow(migration, new, old, stop, runbook.probe_log):
        if step.done != done:
            done = step.done
            click.echo(f"{step.done:,} of {step.total:,} rows")


@click.command("compare")
@with_runbook
def compare_command(runbook: Runbook) -> None:
    """Compare both columns and print the gates. Exit 1 unless GO, or overridden."""
    from ragkit.evaluation.cutoff import carry_cutoffs  # loads what only a comparison needs

    _open(runbook)
    evidence = runbook.evidence()
    verdict = runbook.decide(evidence)
    for item in (*evidence.differences, *evidence.slices, *evidence.index, *verdict.gates):
        _print(item)
    click.echo(write_comparison(runbook.run_dir, verdict))
    click.echo(carry_cutoffs(runbook.migration, evidence.cutoff))
    click.echo(f"verdict {verdict.verdict}")
    require_go(verdict, runbook.plan.gates.override)


@click.command("cutover")
@with_runbook
def cutover_command(runbook: Runbook) -> None:
    """Switch the app to the new model: gates, a revision without traffic, smoke test, traffic."""
    verdict = recheck_verdict(_open(runbook))
    for line in runbook.app.commands(runbook.plan.new.model):
        click.echo(line)
    switch = cutover.cut_over(runbook.migration, runbook.app, verdict, runbook.smoke_question)
    write_verdict(runbook.run_dir, verdict, switch)
    _print(switch)


@click.command("rollback")
@with_runbook
def rollback_command(runbook: Runbook) -> None:
    """Put the app back on the old revision, and check its answer."""
    _print(cutover.roll_back(_open(runbook), runbook.app, runbook.smoke_question))


@click.command("retire")
@with_runbook
def retire_command(runbook: Runbook) -> None:
    """Drop the old column, if the plan says old.retire: true."""
    click.echo(retirement.retire(_open(runbook), runbook.app).message)


@click.command("status")
@with_runbook
def status_command(runbook: Runbook) -> None:
    """Show where the migration stands."""
    _print(runbook.status())


@click.command("ask")
@with_runbook
def ask_command(runbook: Runbook) -> None:
    """Ask the app the smoke question: the curl line and the answer."""
    answer = runbook.ask()
    click.echo(f"{answer.curl}\n{answer.answer}")


COMMANDS = (
    inspect_command,
    backfill_command,
    follow_command,
    compare_command,
    cutover_command,
    rollback_command,
    retire_command,
    status_command,
    ask_command,
)


def _open(runbook: Runbook) -> Migration:
    """Says first which database a step is about to change."""
    click.echo(f"database: {runbook.migration.database}")
    return runbook.migration


def _print(item: Any) -> None:
    """A dataclass as one line."""
    fields = asdict(item).items()
    click.echo("  ".join(f"{name.replace('_', ' ')}: {value}" for name, value in fields))
