"""The command line: the same steps as the notebooks, one line of text each.

    python -m ragkit backfill --params params/jss.yaml

Without --params: params/jss.yaml where the mission's environment (INSTANCE_CONNECTION_NAME) or
DATABASE_URL is set, else the sandbox. Exit 1 and one line on an error.
"""

import logging
import os
import signal
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import click

from ragkit.app.vendor import vendor as vendored
from ragkit.comparison import gates
from ragkit.comparison.compare import compare as compared
from ragkit.errors import RagkitError
from ragkit.migration import aside, cost, index, inspection, schema, verdict
from ragkit.migration import backfill as filling
from ragkit.migration import cutover as switching
from ragkit.migration import retire as retiring
from ragkit.migration.follow import follow as following
from ragkit.migration.plan import ROOT
from ragkit.runbook.session import Runbook

with_params = click.option("--params", type=click.Path(path_type=Path), help="a file of params/")


@click.group(help=__doc__)
def cli() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")


def main() -> None:
    """Our own errors are one line; anything else is a fault of ragkit and keeps its traceback."""
    try:
        cli(standalone_mode=False)
    except RagkitError as error:
        sys.exit(f"{type(error).__name__}: {error}")
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


def _runbook(params: Path | None) -> Runbook:
    return Runbook.from_file(_params(params))


def _params(params: Path | None) -> Path:
    on_site = os.environ.get("INSTANCE_CONNECTION_NAME") or os.environ.get("DATABASE_URL")
    return params or ROOT / "params" / ("jss.yaml" if on_site else "sandbox.yaml")


@cli.command()
@with_params
def inspect(params: Path | None) -> None:
    """What is there, and what the backfill will cost. Changes nothing."""
    runbook = _runbook(params)
    for column in inspection.vector_columns(runbook.migration):
        _tell(column)
    for found in inspection.indexes(runbook.migration):
        _tell(found)
    _tell(inspection.texts(runbook.migration))
    _tell(cost.estimate(runbook.migration, runbook.new_embedder))


@cli.command()
@with_params
@click.option("--retry", is_flag=True, help="try rows again that the model refused")
def backfill(params: Path | None, retry: bool) -> None:
    """Add the new column, fill it while the app serves, index it."""
    runbook = _runbook(params)
    migration, embedder = runbook.migration, runbook.new_embedder
    if retry:
        click.echo(f"{aside.forget(migration)} rows that were set aside are tried again")
    added = schema.expand(migration)
    click.echo(f"column {migration.plan.new_column}: {'added' if added else 'was there'}")
    for step in filling.fill(migration, embedder):
        click.echo(f"{step.done:,} of {step.total:,} rows, {step.rate:,.0f} rows/s")
    _tell(index.build(migration))
    for letter in aside.listed(migration):
        _tell(letter)


@cli.command()
@with_params
def follow(params: Path | None) -> None:
    """Keep embedding what people write, until stopped (Ctrl-C or SIGTERM)."""
    runbook, stop = _runbook(params), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    click.echo("following; stop with Ctrl-C")
    done = None
    for step in following(runbook.migration, runbook.new_embedder, runbook.old_or_none(), stop):
        if step.done != done:
            done = step.done
            click.echo(f"{step.done:,} of {step.total:,} rows")


@cli.command()
@with_params
def compare(params: Path | None) -> None:
    """Ask the judged questions of both columns; print the gates. Exit 1 unless GO."""
    runbook = _runbook(params)
    comparison = compared(
        runbook.migration, runbook.judged, runbook.old_embedder, runbook.new_embedder
    )
    found = gates.decide(runbook.migration, comparison, runbook.new_embedder)
    for gate in found.gates:
        _tell(gate)
    click.echo(f"verdict {found.verdict}  {found.metrics}")
    verdict.require_go(found)


@cli.command()
@with_params
def cutover(params: Path | None) -> None:
    """Switch the app to the new model: gates, a revision without traffic, smoke test, traffic."""
    runbook = _runbook(params)
    found = verdict.check(runbook.migration)
    switched = switching.cut_over(runbook.migration, runbook.app, found)
    runbook.write_verdict(found, switched)
    _tell(switched)


@cli.command()
@with_params
def rollback(params: Path | None) -> None:
    """Back to the old revision, verified."""
    runbook = _runbook(params)
    _tell(switching.roll_back(runbook.migration, runbook.app))


@cli.command()
@with_params
def retire(params: Path | None) -> None:
    """Drop the old column, if the parameters say `retire: true`."""
    runbook = _runbook(params)
    click.echo(retiring.retire(runbook.migration, runbook.app).message)


@cli.command()
@with_params
def status(params: Path | None) -> None:
    """Where the migration stands."""
    _tell(_runbook(params).status())


@cli.command()
@with_params
@click.option("--runs", type=click.Path(path_type=Path), default=ROOT / "runs", help="a folder")
def run(params: Path | None, runs: Path) -> None:
    """Every notebook in order through papermill, into runs/. Exit 1 unless all is well."""
    from ragkit.runbook.run import run as run_all

    outcome = run_all(_params(params), click.echo, runs)
    click.echo(f"\nverdict: {outcome.verdict}")
    if outcome.answer:
        click.echo(f"{outcome.answer.curl}\n{outcome.answer.answer}")
    click.echo(f"report:  {outcome.run_dir / 'index.html'}")
    for fault in outcome.faults:
        click.echo(f"FAULT: {fault}", err=True)
    if outcome.faults:
        raise SystemExit(1)


@cli.command()
@with_params
def ask(params: Path | None) -> None:
    """The smoke question to the app: the curl line and its answer."""
    answer = _runbook(params).ask()
    click.echo(f"{answer.curl}\n{answer.answer}")


@cli.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
def vendor(target: Path | None) -> None:
    """Copy ragkit's core into function/ (or TARGET), complete for `gcloud functions deploy`."""
    click.echo(vendored(target) if target else vendored())


@cli.group()
def sandbox() -> None:
    """The embedded default: up, down."""


@sandbox.command()
@with_params
def up(params: Path | None) -> None:
    from ragkit.runbook.start import start

    for line in start(_runbook(params)):
        click.echo(line)


@sandbox.command()
@with_params
def down(params: Path | None) -> None:
    _runbook(params).sandbox.down()
    click.echo("the sandbox is down; its data stays (make clean removes it)")


@sandbox.command()
@with_params
def remove(params: Path | None) -> None:
    """Down, and its folders deleted."""
    _runbook(params).sandbox.remove()
    click.echo("the sandbox is removed")


def _tell(item: object) -> None:
    click.echo("  ".join(f"{name.replace('_', ' ')}: {v}" for name, v in asdict(item).items()))
