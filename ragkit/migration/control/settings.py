"""The settings that people change while a migration runs: a row of ragkit's own schema.

Who changed what is in the ledger too.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError, PhaseError
from ragkit.migration import ledger, phases
from ragkit.migration.control.window import ALWAYS, Window
from ragkit.migration.migration import Migration
from ragkit.migration.work.tables import CONTROL, create_tables

CONTROLLED = "controlled"
"""An event of the ledger."""
MAX_IN_FLIGHT = 256
MIN_PACE, MAX_PACE = 1 / 64, 64.0
_STEP = 2.0
"""What `slower` divides the pace by, and `faster` multiplies it with."""


@dataclass(frozen=True)
class Settings:
    """`in_flight`: requests at once, None for the plan's. `pace`: the share of the usual rate, more
    than 1 for more requests at once than that. `window`: as of Window, ALWAYS, or "" for the
    plan's. `stopped_at`: workers that were there by then stop. `by` and `at` tell the last change;
    None when nobody has made one."""

    paused: bool = False
    pace: float = 1.0
    in_flight: int | None = None
    window: str = ""
    postponed: bool = False
    stopped_at: datetime | None = None
    by: str | None = None
    at: datetime | None = None

    @property
    def changer(self) -> str:
        """Such as "ana:4711, 14:03 UTC"."""
        return f"{self.by}, {self.at:%H:%M %Z}" if self.by and self.at else "nobody"

    def __str__(self) -> str:
        """What differs from the plan; "" when nothing does."""
        told = [
            "paused" if self.paused else "",
            f"at {self.pace:g} of its pace" if self.pace != 1 else "",
            f"{self.in_flight} in flight" if self.in_flight is not None else "",
            f"window {self.window}" if self.window else "",
            "cut-over postponed" if self.postponed else "",
        ]
        said = ", ".join(filter(None, told))
        return f"{said} (by {self.changer})" if said else ""

    def slower(self) -> float:
        return max(MIN_PACE, self.pace / _STEP)

    def faster(self) -> float:
        return min(MAX_PACE, self.pace * _STEP)


def read_settings(connection: sa.Connection, migration: Migration) -> Settings:
    """Those of a migration; the plan's where there is no row. Raises ConfigError for a row that
    somebody has written by hand, and that means nothing."""
    if (
        connection.scalar(sa.select(sa.func.to_regclass(f"{CONTROL.schema}.{CONTROL.name}")))
        is None
    ):
        return Settings()
    columns = (CONTROL.c[name] for name in Settings.__dataclass_fields__)
    query = sa.select(*columns).where(CONTROL.c.migration == migration.id)
    row = connection.execute(query).first()
    settings = Settings(*row) if row else Settings()
    _require_sense(settings)
    return settings


def change_settings(migration: Migration, action: str, **values: Any) -> Settings:
    """The settings after the change, which the ledger has as `action`. Raises ConfigError for a
    value that means nothing, PhaseError before the first step, DatabaseError."""
    engine, now = migration.engine, sa.func.clock_timestamp()
    with translate_errors("changing the settings"), engine.begin() as connection:
        if ledger.phase(connection, migration.id) in (phases.PLANNED, phases.RETIRED):
            raise PhaseError("nothing of this migration runs: there is nothing to control")
        create_tables(connection)  # an earlier version may have expanded it
        row = {**values, "by": ledger.actor(), "at": now}
        entry = insert(CONTROL).values(migration=migration.id, **row)
        entry = entry.on_conflict_do_update(index_elements=["migration"], set_=row)
        connection.execute(entry)
        settings = read_settings(connection, migration)
        if settings.window not in ("", ALWAYS):
            minutes_until_open(connection, Window.parse(settings.window))
        told = {name: str(getattr(settings, name)) for name in values}
        ledger.record(connection, migration.id, CONTROLLED, action=action, **told)
        return settings


def minutes_until_open(connection: sa.Connection, window: Window) -> int:
    """By the database's clock. Raises ConfigError when it knows no such time zone."""
    known = sa.text(
        "select exists (select from pg_timezone_names where lower(name) = lower(:zone))"
    )
    local = sa.text("select (clock_timestamp() at time zone :zone)::time")
    names = {"zone": window.zone}
    if not connection.scalar(known, names):
        raise ConfigError(f"the database knows no time zone {window.zone!r}: see pg_timezone_names")
    return window.minutes_until_open(connection.scalar(local, names))


def _require_sense(settings: Settings) -> None:
    if settings.in_flight is not None and not 0 < settings.in_flight <= MAX_IN_FLIGHT:
        raise ConfigError(f"in flight: expected 1 to {MAX_IN_FLIGHT}, got {settings.in_flight}")
    if not MIN_PACE <= settings.pace <= MAX_PACE:
        raise ConfigError(f"pace: expected {MIN_PACE:g} to {MAX_PACE:g}, got {settings.pace:g}")
    if settings.window not in ("", ALWAYS):
        Window.parse(settings.window)
