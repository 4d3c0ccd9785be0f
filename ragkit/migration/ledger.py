"""Where a migration stands, kept in the database beside the contract: phase and events."""

import getpass
import os
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.contract import SCHEMA

PLANNED, EXPANDED, BACKFILLED, COMPARED = "planned", "expanded", "backfilled", "compared"
CUT_OVER, ROLLED_BACK, RETIRED = "cut over", "rolled back", "retired"

_metadata = sa.MetaData(schema=SCHEMA)
MIGRATION = sa.Table(
    "migration",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, nullable=False),
    sa.Column("stripes", sa.Integer, nullable=False, server_default="1"),
    sa.Column("caught_up_at", sa.DateTime(timezone=True)),
    sa.Column("caught_up_since", sa.BigInteger),
    sa.Column("since", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)
EVENT = sa.Table(
    "event",
    _metadata,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("migration", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)


@dataclass(frozen=True)
class Event:
    at: datetime
    actor: str
    kind: str
    detail: dict


def create(connection: sa.Connection) -> None:
    _metadata.create_all(connection)


def exists(connection: sa.Connection) -> bool:
    return sa.inspect(connection).has_table(MIGRATION.name, schema=SCHEMA)


def phase(connection: sa.Connection, migration: str) -> str:
    """The last phase that was reached; `planned` before the first step."""
    if not exists(connection):
        return PLANNED
    query = sa.select(MIGRATION.c.phase).where(MIGRATION.c.id == migration)
    return connection.scalar(query) or PLANNED


def stripes(connection: sa.Connection, migration: str) -> int:
    """Into how many stripes backfills cut the table; see ragkit.migration.claims."""
    return connection.scalar(sa.select(MIGRATION.c.stripes).where(MIGRATION.c.id == migration)) or 1


def set_stripes(connection: sa.Connection, migration: str, count: int) -> None:
    connection.execute(
        sa.update(MIGRATION).where(MIGRATION.c.id == migration).values(stripes=count)
    )


def caught_up(connection: sa.Connection, migration: str, since: int) -> None:
    """Nothing older than the snapshot `since` was pending just now."""
    values = {"caught_up_at": sa.func.now(), "caught_up_since": since}
    connection.execute(sa.update(MIGRATION).where(MIGRATION.c.id == migration).values(values))


def last_caught_up(connection: sa.Connection, migration: str, within_seconds: int) -> int | None:
    """The snapshot of the last time, when that is not longer ago."""
    recent = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, within_seconds)
    query = sa.select(MIGRATION.c.caught_up_since).where(
        MIGRATION.c.id == migration, MIGRATION.c.caught_up_at >= recent
    )
    return connection.scalar(query)


def record(connection: sa.Connection, migration: str, kind: str, **detail: object) -> None:
    """Appends an event. When `kind` is a phase, the migration is in it from now on."""
    row = {"migration": migration, "actor": _actor(), "kind": kind, "detail": detail}
    connection.execute(sa.insert(EVENT).values(row))
    phases = (EXPANDED, BACKFILLED, COMPARED, CUT_OVER, ROLLED_BACK, RETIRED)
    if kind in phases:
        entry = insert(MIGRATION).values(id=migration, phase=kind)
        update = {"phase": kind, "since": sa.func.now()}
        connection.execute(entry.on_conflict_do_update(index_elements=["id"], set_=update))


def events(connection: sa.Connection, migration: str) -> list[Event]:
    """Oldest first."""
    if not exists(connection):
        return []
    query = sa.select(EVENT).where(EVENT.c.migration == migration).order_by(EVENT.c.id)
    return [Event(r.at, r.actor, r.kind, r.detail) for r in connection.execute(query)]


def last(connection: sa.Connection, migration: str, kind: str) -> Event | None:
    found = [event for event in events(connection, migration) if event.kind == kind]
    return found[-1] if found else None


def _actor() -> str:
    try:
        return f"{getpass.getuser()}:{os.getpid()}"
    except (KeyError, OSError):  # a container's user without a passwd entry
        return f"uid {os.getuid()}:{os.getpid()}"
