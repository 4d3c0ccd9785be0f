"""The ledger: the phase and the events of each migration, kept in the database."""

import getpass
import os
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.own_tables import create_own_tables
from ragkit.migration import phases
from ragkit.migration.work.task import current_task
from ragkit.retrieval.contract import SCHEMA

TRIGGERS_RESTORED = "triggers restored"
"""An event: they were missing, so that writes may have gone unseen."""

_metadata = sa.MetaData(schema=SCHEMA)
MIGRATION = sa.Table(
    "migration",
    _metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("phase", sa.Text, nullable=False),
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
    """`actor` is user and process; `kind` is a phase, or what else happened."""

    at: datetime
    actor: str
    kind: str
    detail: dict[str, Any]


def create_tables(connection: sa.Connection) -> None:
    """Safe to repeat."""
    create_own_tables(connection, _metadata)


def exists(connection: sa.Connection) -> bool:
    """Whether this database has a ledger."""
    return sa.inspect(connection).has_table(MIGRATION.name, schema=SCHEMA)


def phase(connection: sa.Connection, migration: str) -> str:
    """The last phase that was reached; `planned` before the first step."""
    if not exists(connection):
        return phases.PLANNED
    query = sa.select(MIGRATION.c.phase).where(MIGRATION.c.id == migration)
    return connection.scalar(query) or phases.PLANNED


def record_catch_up(connection: sa.Connection, migration: str, since: int) -> None:
    """Notes that no row written before the snapshot `since` is pending now."""
    values = {"caught_up_at": sa.func.now(), "caught_up_since": since}
    connection.execute(sa.update(MIGRATION).where(MIGRATION.c.id == migration).values(values))


def last_catch_up(connection: sa.Connection, migration: str, within_seconds: int) -> int | None:
    """The snapshot of the last catch-up; None when it is older than `within_seconds`."""
    earliest = sa.func.now() - sa.func.make_interval(0, 0, 0, 0, 0, 0, within_seconds)
    query = sa.select(MIGRATION.c.caught_up_since).where(
        MIGRATION.c.id == migration, MIGRATION.c.caught_up_at >= earliest
    )
    return connection.scalar(query)


def record(connection: sa.Connection, migration: str, kind: str, **detail: object) -> None:
    """Appends an event. When `kind` is a phase, the migration enters it.

    Raises PhaseError when that phase may not follow the current one.
    """
    if kind in phases.FOLLOWERS:
        query = sa.select(MIGRATION.c.phase).where(MIGRATION.c.id == migration).with_for_update()
        phases.require_transition(connection.scalar(query) or phases.PLANNED, kind)
    row = {"migration": migration, "actor": actor(), "kind": kind, "detail": detail}
    connection.execute(sa.insert(EVENT).values(row))
    if kind in phases.FOLLOWERS:
        entry = insert(MIGRATION).values(id=migration, phase=kind)
        update = {"phase": kind, "since": sa.func.now()}
        connection.execute(entry.on_conflict_do_update(index_elements=["id"], set_=update))


def events(connection: sa.Connection, migration: str) -> list[Event]:
    """Oldest first."""
    if not exists(connection):
        return []
    query = sa.select(EVENT).where(EVENT.c.migration == migration).order_by(EVENT.c.id)
    return [Event(row.at, row.actor, row.kind, row.detail) for row in connection.execute(query)]


def last_event(connection: sa.Connection, migration: str, kind: str) -> Event | None:
    """The newest event of a kind."""
    of_kind = [event for event in events(connection, migration) if event.kind == kind]
    return of_kind[-1] if of_kind else None


def actor() -> str:
    """Who acts: the user and the process; of a job, whose processes all have the same number, the
    task."""
    if task := current_task():
        return f"{task.execution or 'a job'}, {task}"
    try:
        return f"{getpass.getuser()}:{os.getpid()}"
    except (KeyError, OSError):  # a container's user without a passwd entry
        return f"uid {os.getuid()}:{os.getpid()}"
