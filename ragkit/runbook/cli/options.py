"""The options that every command shares: --params, --set, --run-dir, --json."""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ragkit.runbook.cli.stopping import stop_on_signals
from ragkit.runbook.cli.terminal import open_terminal
from ragkit.runbook.parameters import Parameters, default_params, run_folder
from ragkit.runbook.runbook import Runbook

_PARAMS = click.option("--params", type=click.Path(path_type=Path), help="A params file.")
_SET = click.option(
    "--set", "overrides", multiple=True, metavar="SECTION.FIELD=VALUE",
    help="Sets any field of the plan; may be repeated.",
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
    @_SET
    @functools.wraps(command)
    def invoke(params: Path | None, overrides: tuple[str, ...], **options: Any) -> Any:
        parameters = Parameters(params or default_params(), run_folder(""), overrides)
        return command(parameters, **options)

    return invoke


def with_runbook(command: Callable[..., Any]) -> Callable[..., Any]:
    """Passes a Runbook as the command's first argument, and a Terminal as `terminal`; the command
    can be stopped at any time."""

    @with_terminal
    @with_parameters
    @_RUN_DIR
    @functools.wraps(command)
    def invoke(parameters: Parameters, run_dir: str, **options: Any) -> Any:
        stop_on_signals()
        located = replace(parameters, run_dir=run_folder(run_dir))
        return command(Runbook.of(located), **options)

    return invoke
