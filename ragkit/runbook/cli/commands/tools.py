"""Commands around the steps: the whole run, JupyterLab, the sandbox, the reference, vendoring."""

import os
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ragkit.checkout import ROOT, child_path, require_checkout
from ragkit.deploy.vendor import vendor_core
from ragkit.errors import ConfigError
from ragkit.migration.plan.files.reference import insert_reference, reference
from ragkit.runbook.cli.options import with_parameters, with_runbook, with_terminal
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.extras import needs_extra
from ragkit.runbook.parameters import PARAMS, Parameters
from ragkit.runbook.runbook import Runbook

if TYPE_CHECKING:
    from ragkit.runbook.notebooks.run import Outcome


@click.command("run")
@with_terminal
@with_parameters
@click.option(
    "--runs", type=click.Path(path_type=Path), default=ROOT / "runs", help="Where runs are kept."
)
def run_command(parameters: Parameters, terminal: Terminal, runs: Path) -> None:
    """Run every notebook in order through papermill. Exit 1 unless all is well."""
    with needs_extra("notebooks"):
        from ragkit.runbook.execute import run_notebooks

    with terminal.working("running the notebooks"):
        outcomes = run_notebooks(parameters, terminal.line, runs)
    for outcome in outcomes:
        if len(outcomes) == 1:
            _show_outcome(terminal, outcome)
        else:
            with terminal.section(outcome.table):
                _show_outcome(terminal, outcome)
    if len(outcomes) > 1:
        terminal.fact("report", outcomes[0].run_dir.parent / "index.html")
    if any(outcome.faults for outcome in outcomes):
        raise SystemExit(1)


def _show_outcome(terminal: Terminal, outcome: "Outcome") -> None:
    terminal.fact("verdict", outcome.verdict)
    if outcome.answer:
        terminal.line(outcome.answer.curl, "curl")
        terminal.line(outcome.answer.answer, "answer")
    terminal.fact("report", outcome.run_dir / "index.html")
    terminal.faults("faults", outcome.faults)


@click.command("lab")
@with_parameters
@click.argument("jupyter_options", nargs=-1, type=click.UNPROCESSED)
def lab_command(parameters: Parameters, jupyter_options: tuple[str, ...]) -> None:
    """Open JupyterLab on the notebooks with these parameters; starts the sandbox if it is used.

    What follows after -- is given to JupyterLab, such as: ragkit lab -- --no-browser
    """
    require_checkout()
    if parameters.overrides:
        raise ConfigError("lab takes no --set or --table: use the parameter `set` in a notebook")
    with needs_extra("notebooks"):
        import_module("jupyterlab")
    runbook = Runbook.all_of(parameters)[0]
    if runbook.plan.database.url == "sandbox":
        for line in _start_sandbox(runbook):
            click.echo(line)
    os.environ[PARAMS] = str(parameters.params.resolve())
    os.environ["PYTHONPATH"] = child_path()
    command = [sys.executable, "-m", "jupyterlab", f"--notebook-dir={ROOT / 'notebooks'}"]
    os.execv(sys.executable, [*command, *jupyter_options])


@click.command("params")
@click.option(
    "--into", type=click.Path(path_type=Path), help="Write it into this page, between its marks."
)
def params_command(into: Path | None) -> None:
    """Print the reference of all parameters."""
    if into:
        into.write_text(insert_reference(into.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        click.echo(reference(), nl=False)


@click.command("vendor")
@click.argument("target", required=False, type=click.Path(path_type=Path))
def vendor_command(target: Path | None) -> None:
    """Copy ragkit's core into function/ (or TARGET), complete for `gcloud functions deploy`."""
    click.echo(vendor_core(target) if target else vendor_core())


@click.group("sandbox")
def sandbox_group() -> None:
    """Start, stop or remove the embedded default."""


@sandbox_group.command("up")
@with_runbook
def up_command(runbook: Runbook, terminal: Terminal) -> None:
    """Start PostgreSQL and the app; keeps a migration that is under way."""
    terminal.lines("sandbox", _start_sandbox(runbook))


@sandbox_group.command("down")
@with_runbook
def down_command(runbook: Runbook, terminal: Terminal) -> None:
    """Stop PostgreSQL and the app; keeps the data."""
    runbook.sandbox.down()
    terminal.fact("sandbox", "down; its data stays (make clean removes it)")


@sandbox_group.command("remove")
@with_runbook
def remove_command(runbook: Runbook, terminal: Terminal) -> None:
    """Stop everything and delete its folders."""
    runbook.sandbox.remove()
    terminal.fact("sandbox", "removed")


COMMANDS = (run_command, lab_command, params_command, vendor_command, sandbox_group)


def _start_sandbox(runbook: Runbook) -> Iterator[str]:
    with needs_extra("sandbox"):
        from ragkit.runbook.start_sandbox import start_sandbox

    return start_sandbox(runbook)
