"""`ragkit control`: steers what runs, wherever it runs."""

from typing import Any

import click
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration.control.settings import (
    MAX_IN_FLIGHT,
    Settings,
    change_settings,
    read_settings,
)
from ragkit.migration.control.window import ALWAYS, Window
from ragkit.migration.migration import Migration
from ragkit.runbook.cli.options import with_each_table
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook

OF_PLAN = "plan"
SHOW = "show"
_PLAIN: dict[str, dict[str, Any]] = {
    "pause": {"paused": True},
    "resume": {"paused": False},
    "postpone-cutover": {"postponed": True},
    "allow-cutover": {"postponed": False},
    "stop": {"stopped_at": sa.func.clock_timestamp()},
    "reset": {
        "paused": False,
        "pace": 1.0,
        "in_flight": None,
        "window": "",
        "postponed": False,
    },
}
_WITH_VALUE = ("in-flight", "window")
ACTIONS = (SHOW, *_PLAIN, "slower", "faster", *_WITH_VALUE)


@click.command("control")
@click.argument("action", type=click.Choice(ACTIONS), default=SHOW)
@click.argument("value", nargs=-1)
@with_each_table
def control_command(
    runbook: Runbook, terminal: Terminal, action: str, value: tuple[str, ...]
) -> None:
    """Steer a running backfill, or a follower, from anywhere: each worker obeys within a second.

    \b
    pause, resume        no request to the model starts, and writes end
    slower, faster       half or twice the pace
    in-flight N          requests to the model at once; "plan" for the plan's
    window HOURS         as in 22:00-06:00 Europe/Berlin; "always", or "plan"
    stop                 what runs now ends cleanly; run it again to go on
    postpone-cutover     ragkit cutover refuses, until allow-cutover
    reset                all as the plan has it
    """
    migration, said = runbook.migration, " ".join(value)
    if said and action not in _WITH_VALUE:
        raise click.UsageError(f"{action} takes no value, got {said!r}")
    if action == SHOW:
        settings = _read(migration)
    else:
        settings = change_settings(migration, action, **_values(migration, action, said))
    terminal.record("control", settings)


def _read(migration: Migration) -> Settings:
    with translate_errors("reading the settings"), migration.engine.connect() as connection:
        return read_settings(connection, migration)


def _values(migration: Migration, action: str, said: str) -> dict[str, Any]:
    """What the action changes. Raises ConfigError or DatabaseError."""
    match action:
        case "slower":
            return {"pace": _read(migration).slower()}
        case "faster":
            return {"pace": _read(migration).faster()}
        case "in-flight":
            if said != OF_PLAN and not (said.isascii() and said.isdecimal()):
                raise ConfigError(
                    f"in-flight: expected 1 to {MAX_IN_FLIGHT}, or {OF_PLAN}, got {said!r}"
                )
            return {"in_flight": None if said == OF_PLAN else int(said)}
        case "window":
            return {"window": _window(said)}
        case _:
            return _PLAIN[action]


def _window(said: str) -> str:
    if said in (OF_PLAN, ALWAYS):
        return "" if said == OF_PLAN else said
    return str(Window.parse(said))
