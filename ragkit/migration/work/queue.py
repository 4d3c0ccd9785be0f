"""The queue: keys of rows that were written and have no vector, put there by the triggers.

Backfills and followers take keys from it; a key leaves it when its row is done.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CatalogType
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.work.tables import QUEUE
from ragkit.migration.work.workers import is_alive

EMPTY = "empty"
LATER_SECONDS = 1
"""A row that was locked is tried again after it."""
MAX_COUNTED = 10_000
"""A longer queue is not counted."""
_XID = CatalogType("xid8")


@dataclass(frozen=True)
class Depth:
    """Waiting keys, MAX_COUNTED + 1 for any longer queue, and the age of the oldest one (s)."""

    keys: int
    oldest_seconds: float

    def __str__(self) -> str:
        keys = f"{self.keys:,}" if self.keys <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
        return f"{keys} keys, the oldest for {self.oldest_seconds:.0f} s" if self.keys else EMPTY


def depth(connection: sa.Connection, migration: Migration) -> Depth:
    """Looks at MAX_COUNTED keys at most."""
    first = sa.select(QUEUE.c.at).where(_of(migration)).order_by(QUEUE.c.id)
    some = first.limit(MAX_COUNTED + 1).subquery()
    age = sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.min(some.c.at))
    keys, seconds = connection.execute(sa.select(sa.func.count(), age).select_from(some)).one()
    return Depth(keys, float(seconds or 0))


def is_empty(connection: sa.Connection, migration: Migration) -> bool:
    return not connection.scalar(sa.select(sa.exists().where(_of(migration))))


def has_older(connection: sa.Connection, migration: Migration, since: int) -> bool:
    """Whether a key was written before the snapshot `since` (see coverage.CURRENT_SNAPSHOT)."""
    older = sa.exists().where(_of(migration), _is_older(since))
    return bool(connection.scalar(sa.select(older)))


def pending_rows(connection: sa.Connection, migration: Migration, since: int | None = None) -> int:
    """Rows in the queue that are pending indeed, of the first MAX_COUNTED keys; only those written
    before the snapshot `since`, if it is given."""
    keys = sa.select(QUEUE.c.key).where(_of(migration))
    if since is not None:
        keys = keys.where(_is_older(since))
    some = keys.order_by(QUEUE.c.id).limit(MAX_COUNTED).subquery()
    typed = sa.cast(some.c.key, CatalogType(migration.key_type))
    rows = migration.select(sa.func.count()).where(
        migration.key.in_(sa.select(typed)), coverage.is_pending(migration)
    )
    return connection.scalar(rows) or 0


def last_id(connection: sa.Connection, migration: Migration) -> int:
    """The place of the newest key; 0 when the queue is empty."""
    return connection.scalar(sa.select(sa.func.max(QUEUE.c.id)).where(_of(migration))) or 0


def take(migration: Migration, worker: str, last: int, limit: int) -> dict[int, str]:
    """Up to `limit` keys by their place in the queue, up to the place `last`, for this worker:
    those that are due, and not another worker's. Raises DatabaseError."""
    now = sa.func.clock_timestamp()
    free = (
        sa.select(QUEUE.c.id)
        .where(
            _of(migration), QUEUE.c.id <= last,
            sa.or_(QUEUE.c.not_before.is_(None), QUEUE.c.not_before <= now),
            sa.or_(QUEUE.c.worker.is_(None), ~is_alive(QUEUE.c.worker)),
        )
        .order_by(QUEUE.c.id)
        .limit(limit)
        .with_for_update(of=QUEUE, skip_locked=True)
    )  # fmt: skip
    change = sa.update(QUEUE).where(_of(migration), QUEUE.c.id.in_(free)).values(worker=worker)
    with translate_errors("taking from the queue"), migration.engine.begin() as connection:
        taken = connection.execute(change.returning(QUEUE.c.id, QUEUE.c.key))
        return dict(sorted(tuple(row) for row in taken))


def remove(migration: Migration, ids: Sequence[int]) -> None:
    """Raises DatabaseError."""
    done = sa.delete(QUEUE).where(_of(migration), QUEUE.c.id.in_(ids))
    with translate_errors("emptying the queue"), migration.engine.begin() as connection:
        connection.execute(done)


def clear(connection: sa.Connection, migration: Migration) -> None:
    """For a column that is gone."""
    connection.execute(sa.delete(QUEUE).where(_of(migration)))


def put_back(migration: Migration, keys: Sequence[str]) -> None:
    """For rows that could not be written: no backfill is complete without them, so they are older
    than any other; due after a moment. Raises DatabaseError."""
    due = sa.func.clock_timestamp() + sa.text(f"interval '{LATER_SECONDS} seconds'")
    rows = [{"migration": migration.id, "key": key, "xid": sa.cast("0", _XID)} for key in keys]
    entries = sa.insert(QUEUE).values([{**row, "not_before": due} for row in rows])
    with translate_errors("writing the queue"), migration.engine.begin() as connection:
        connection.execute(entries)


def add_pending(
    connection: sa.Connection, migration: Migration, *where: sa.ColumnElement[bool]
) -> None:
    """Puts the pending rows of `where` into the queue, unless they are in it. No backfill is
    complete without them."""
    queued = sa.exists().where(_of(migration), QUEUE.c.key == migration.key_text)
    values = sa.literal(migration.id), migration.key_text, sa.cast("0", _XID)
    rows = migration.select(*values).where(*where, coverage.is_pending(migration), ~queued)
    connection.execute(sa.insert(QUEUE).from_select(["migration", "key", "xid"], rows))


def _of(migration: Migration) -> sa.ColumnElement[bool]:
    return QUEUE.c.migration == migration.id


def _is_older(since: int) -> sa.ColumnElement[bool]:
    return QUEUE.c.xid < sa.cast(sa.literal(str(since), sa.Text), _XID)
