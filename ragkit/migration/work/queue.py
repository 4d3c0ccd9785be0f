"""The queue: keys of rows that were written and have no vector, put there by the triggers.

Backfills and followers take keys from it; a key leaves it when its row is done. It has no index,
which each insert of the app would have to fill: keys are found as they lie, and known by their
place (ctid) while a worker holds them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CTID, TID, CatalogType, text_array
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
    """Waiting keys, MAX_COUNTED + 1 for any longer queue, and the age of their oldest one (s)."""

    keys: int
    oldest_seconds: float

    def __str__(self) -> str:
        keys = f"{self.keys:,}" if self.keys <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
        return f"{keys} keys, the oldest for {self.oldest_seconds:.0f} s" if self.keys else EMPTY


def depth(connection: sa.Connection, migration: Migration) -> Depth:
    """Looks at MAX_COUNTED keys at most."""
    some = sa.select(QUEUE.c.at).where(_of(migration)).limit(MAX_COUNTED + 1).subquery()
    age = sa.func.extract("epoch", sa.func.clock_timestamp() - sa.func.min(some.c.at))
    keys, seconds = connection.execute(sa.select(sa.func.count(), age).select_from(some)).one()
    return Depth(keys, float(seconds or 0))


def is_empty(connection: sa.Connection, migration: Migration) -> bool:
    return not connection.scalar(sa.select(sa.exists().where(_of(migration))))


def has_older(connection: sa.Connection, migration: Migration, since: int) -> bool:
    """Whether a key was written before the snapshot `since`."""
    older = sa.exists().where(_of(migration), _is_older(since))
    return bool(connection.scalar(sa.select(older)))


def pending_rows(connection: sa.Connection, migration: Migration, since: int | None = None) -> int:
    """Rows in the queue that are pending indeed, of the first MAX_COUNTED keys; only those written
    before the snapshot `since`, if it is given."""
    keys = sa.select(QUEUE.c.key).where(_of(migration))
    if since is not None:
        keys = keys.where(_is_older(since))
    some = keys.limit(MAX_COUNTED).subquery("some")
    rows = migration.select(sa.func.count()).where(
        migration.has_key_in(some), coverage.is_pending(migration)
    )
    return connection.scalar(rows) or 0


@dataclass(frozen=True)
class Taken:
    """Keys by their places, and the block after which no free key was looked at."""

    keys: dict[str, str]
    block: int


def take(migration: Migration, worker: str, before: int, limit: int, block: int = 0) -> Taken:
    """Up to `limit` keys for this worker, from `block` on: those that were written before the
    snapshot `before`, are due, and are not another worker's. Raises DatabaseError."""
    now = sa.func.clock_timestamp()
    start = sa.cast(f"({block:d},0)", TID)
    free = (
        sa.select(sa.cast(CTID, sa.Text))
        .select_from(QUEUE)
        .where(
            _of(migration), start <= CTID, _is_older(before),
            sa.or_(QUEUE.c.not_before.is_(None), QUEUE.c.not_before <= now),
            sa.or_(QUEUE.c.worker.is_(None), ~is_alive(QUEUE.c.worker)),
        )
        .limit(limit)
        .with_for_update(of=QUEUE, skip_locked=True)
    )  # fmt: skip
    with translate_errors("taking from the queue"), migration.engine.begin() as connection:
        if not (places := connection.scalars(free).all()):
            return Taken({}, block)
        change = sa.update(QUEUE).where(_of(migration), _is_at(places)).values(worker=worker)
        taken = connection.execute(change.returning(sa.cast(CTID, sa.Text), QUEUE.c.key))
        last = max(int(place[1:].partition(",")[0]) for place in places)
        return Taken(dict(map(tuple, taken)), last)


def remove(migration: Migration, worker: str, places: Sequence[str]) -> None:
    """Keys that this worker has taken, unless another one has them since. Raises DatabaseError."""
    done = sa.delete(QUEUE).where(_of(migration), _is_at(places), QUEUE.c.worker == worker)
    with translate_errors("emptying the queue"), migration.engine.begin() as connection:
        connection.execute(done)


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


def _is_at(places: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.any_(text_array(places, TID.name)) == CTID


def _is_older(since: int) -> sa.ColumnElement[bool]:
    return QUEUE.c.xid < sa.cast(sa.literal(str(since), sa.Text), _XID)
