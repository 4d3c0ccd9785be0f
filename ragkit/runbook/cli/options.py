"""The options that every command shares: --params, --table, --set, --run-dir, --json."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ragkit.migration.plan.tables.choice import require_one
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import Terminal, open_terminal
from ragkit.runbook.parameters import Parameters, default_params, run_folder
from ragkit.runbook.runbook import Runbook

_PARAMS = click.option("--params", type=click.Path(path_type=Path), help="A params file.")
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.FIELD=VALUE",
    help="Sets any field of the plan; may be repeated.",
)  # fmt: skip
_TABLE = click.option(
    "--table", default="", metavar="NAME",
    help="One table of a params file of several, by its name or number.",
)  # fmt: skip
_RUN_DIR = click.option(
    "--run-dir", default="", help="Where files are written, in the checkout.  [default: runs/lab]"
)
_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


def with_terminal(command: Callable[..., Any]) -> Callable[..., Any]:
    """Passes a Terminal as the command's argument `terminal`."""

    @_JSON
    @functools.wraps(command)
    def invoke(*arguments: Any, as_json: bool, **options: Any) -> Any:
        with open_terminal(as_json) as terminal:
            return command(*arguments, terminal=terminal, **options)

    return invoke


def with_parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """Passes Parameters as the command's first argument."""

    @_PARAMS
    @_TABLE
    @_SET
    @functools.wraps(command)
    def invoke(params: Path | None, table: str, overrides: tuple[str, ...], **options: Any) -> Any:
        chosen = (*overrides, f"{TABLES}={table}") if table else overrides
        parameters = Parameters(params or default_params(), run_folder(""), chosen)
        return command(parameters, **options)

    return invoke


def with_runbooks(command: Callable[..., Any]) -> Callable[..., Any]:
    """Passes a list of Runbooks, one for each table, as the command's first argument, and a
    Terminal as `terminal`; the command can be stopped at any time."""

    @with_terminal
    @with_parameters
    @_RUN_DIR
    @functools.wraps(command)
    def invoke(parameters: Parameters, run_dir: str, **options: Any) -> Any:
        stop_on_signals()
        located = replace(parameters, run_dir=run_folder(run_dir))
        return command(Runbook.all_of(located), **options)

    return invoke


def with_runbook(command: Callable[..., Any]) -> Callable[..., Any]:
    """As with_runbooks, for a command that takes one table: passes its Runbook."""

    @with_runbooks
    @functools.wraps(command)
    def invoke(runbooks: Sequence[Runbook], **options: Any) -> Any:
        require_one([runbook.plan for runbook in runbooks])
        return command(runbooks[0], **options)

    return invoke


def with_each_table(command: Callable[..., Any]) -> Callable[..., Any]:
    """As with_runbook, once for each table, in order, until one fails."""

    @with_runbooks
    @functools.wraps(command)
    def invoke(runbooks: Sequence[Runbook], terminal: Terminal, **options: Any) -> None:
        for_each_table(
            runbooks, terminal, lambda runbook: command(runbook, terminal=terminal, **options)
        )

    return invoke


def for_each_table(
    runbooks: Sequence[Runbook], terminal: Terminal, step: Callable[[Runbook], object]
) -> None:
    """Shows each table under its name where there are several."""
    if len(runbooks) == 1:
        step(runbooks[0])
        return
    for runbook in runbooks:
        with terminal.section(runbook.plan.name):
            step(runbook)
