"""The steps of a migration as commands; `cli` puts them behind `python -m ragkit`."""

import os
import signal
import threading
from dataclasses import asdict
from pathlib import Path

import click

from ragkit.comparison import gates
from ragkit.comparison.cutoff import carry
from ragkit.migration import aside, cost, index, inspection, schema, spending, verdict
from ragkit.migration import backfill as filling
from ragkit.migration import cutover as switching
from ragkit.migration import retire as retiring
from ragkit.migration.follow import follow as following
from ragkit.migration.plan import ROOT
from ragkit.runbook.session import Runbook

with_params = click.option("--params", type=click.Path(path_type=Path), help="a file of params/")


def runbook_of(params: Path | None) -> Runbook:
    return Runbook.from_file(params_file(params))


def params_file(params: Path | None) -> Path:
    on_site = os.environ.get("INSTANCE_CONNECTION_NAME") or os.environ.get("DATABASE_URL")
    return params or ROOT / "params" / ("jss.yaml" if on_site else "sandbox.yaml")


@click.command()
@with_params
def inspect(params: Path | None) -> None:
    """What is there, and what the backfill will cost. Changes nothing."""
    runbook = runbook_of(params)
    for column in inspection.vector_columns(runbook.migration):
        _tell(column)
    for found in inspection.indexes(runbook.migration):
        _tell(found)
    _tell(inspection.texts(runbook.migration))
    estimate = cost.estimate(runbook.migration, runbook.new_embedder)
    _tell(estimate)
    for check in runbook.readiness(estimate):
        _tell(check)


@click.command()
@with_params
@click.option("--retry", is_flag=True, help="try rows again that the model refused")
def backfill(params: Path | None, retry: bool) -> None:
    """Add the new column, fill it while the app serves, index it."""
    runbook = runbook_of(params)
    migration, embedder = runbook.migration, runbook.new_embedder
    if retry:
        click.echo(f"{aside.forget(migration)} rows that were set aside are tried again")
    added = schema.expand(migration)
    click.echo(f"column {migration.plan.new_column}: {'added' if added else 'was there'}")
    for step in filling.fill(migration, embedder):
        click.echo(f"{step.done:,} of {step.total:,} rows, {step.rate:,.0f} rows/s")
    _tell(index.build(migration))
    for item in (*aside.listed(migration), *spending.spent(migration)):
        _tell(item)


@click.command()
@with_params
def follow(params: Path | None) -> None:
    """Keep embedding what people write, until stopped (Ctrl-C or SIGTERM)."""
    runbook, stop = runbook_of(params), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    click.echo("following; stop with Ctrl-C")
    done = None
    for step in following(runbook.migration, runbook.new_embedder, runbook.old_or_none(), stop):
        if step.done != done:
            done = step.done
            click.echo(f"{step.done:,} of {step.total:,} rows")


@click.command()
@with_params
def compare(params: Path | None) -> None:
    """Compare both columns, by judged questions where there are; print the gates. Exit 1 unless
    GO, or overridden."""
    runbook = runbook_of(params)
    evidence = runbook.evidence()
    found = gates.decide(runbook.migration, evidence, runbook.new_embedder)
    for item in (*evidence.differences, *evidence.slices, *evidence.index, *found.gates):
        _tell(item)
    click.echo(runbook.write_comparison(found))
    click.echo(carry(runbook.migration, evidence.cutoff))
    click.echo(f"verdict {found.verdict}")
    verdict.require_go(found, runbook.plan.override)


@click.command()
@with_params
def cutover(params: Path | None) -> None:
    """Switch the app to the new model: gates, a revision without traffic, smoke test, traffic."""
    runbook = runbook_of(params)
    found = verdict.check(runbook.migration)
    for line in runbook.app.commands(runbook.plan.new_model):
        click.echo(line)
    switched = switching.cut_over(runbook.migration, runbook.app, found)
    runbook.write_verdict(found, switched)
    _tell(switched)


@click.command()
@with_params
def rollback(params: Path | None) -> None:
    """Back to the old revision, verified."""
    runbook = runbook_of(params)
    _tell(switching.roll_back(runbook.migration, runbook.app))


@click.command()
@with_params
def retire(params: Path | None) -> None:
    """Drop the old column, if the parameters say `retire: true`."""
    runbook = runbook_of(params)
    click.echo(retiring.retire(runbook.migration, runbook.app).message)


@click.command()
@with_params
def status(params: Path | None) -> None:
    """Where the migration stands."""
    _tell(runbook_of(params).status())


@click.command()
@with_params
def ask(params: Path | None) -> None:
    """The smoke question to the app: the curl line and its answer."""
    answer = runbook_of(params).ask()
    click.echo(f"{answer.curl}\n{answer.answer}")


def _tell(item: object) -> None:
    click.echo("  ".join(f"{name.replace('_', ' ')}: {v}" for name, v in asdict(item).items()))
