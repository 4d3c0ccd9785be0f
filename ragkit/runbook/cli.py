"""The command line: the same steps as the notebooks, one line of text each.

    python -m ragkit backfill --params params/jss.yaml

Without --params: params/jss.yaml where the mission's environment (INSTANCE_CONNECTION_NAME) or
DATABASE_URL is set, else the sandbox. Exit 1 and one line on an error.
"""

import logging
import os
import sys
from pathlib import Path

import click

from ragkit.app.vendor import vendor as vendored
from ragkit.errors import RagkitError
from ragkit.migration.plan import ROOT
from ragkit.runbook import steps
from ragkit.runbook.steps import params_file, runbook_of, with_params


@click.group(help=__doc__)
def cli() -> None:
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    # A dead server's connections are closed with a traceback each; our own error says it once.
    logging.getLogger("sqlalchemy.pool").setLevel(logging.CRITICAL)


def main() -> None:
    """Our own errors are one line; anything else is a fault of ragkit and keeps its traceback."""
    try:
        cli(standalone_mode=False)
    except RagkitError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)  # a model that hangs holds a thread, which an orderly exit would wait for
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)


@cli.command()
@with_params
@click.option("--runs", type=click.Path(path_type=Path), default=ROOT / "runs", help="a folder")
def run(params: Path | None, runs: Path) -> None:
    """Every notebook in order through papermill, into runs/. Exit 1 unless all is well."""
    from ragkit.runbook.run import run as run_all

    outcome = run_all(params_file(params), click.echo, runs)
    click.echo(f"\nverdict: {outcome.verdict}")
    if outcome.answer:
        click.echo(f"{outcome.answer.curl}\n{outcome.answer.answer}")
    click.echo(f"report:  {outcome.run_dir / 'index.html'}")
    for fault in outcome.faults:
        click.echo(f"FAULT: {fault}", err=True)
    if outcome.faults:
        raise SystemExit(1)


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

    for line in start(runbook_of(params)):
        click.echo(line)


@sandbox.command()
@with_params
def down(params: Path | None) -> None:
    runbook_of(params).sandbox.down()
    click.echo("the sandbox is down; its data stays (make clean removes it)")


@sandbox.command()
@with_params
def remove(params: Path | None) -> None:
    """Down, and its folders deleted."""
    runbook_of(params).sandbox.remove()
    click.echo("the sandbox is removed")


for command in (
    steps.inspect,
    steps.backfill,
    steps.follow,
    steps.compare,
    steps.cutover,
    steps.rollback,
    steps.retire,
    steps.status,
    steps.ask,
):
    cli.add_command(command)
