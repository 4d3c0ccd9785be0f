"""The sweep: the table is walked once, by ranges of heap blocks, whatever its size.

A range is claimed by moving the sweep's mark, and forgotten when its rows are done. A row that is
written behind the mark is in the queue.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.work.tables import CLAIM, SWEEP
from ragkit.migration.work.workers import is_alive

MIN_BLOCKS, MAX_BLOCKS = 16, 512
"""Of a range. The rows of one write should each be on a page of its own."""
SHARES = 4
"""Ranges of a small table, so that several workers find some."""
_HEAP = sa.text("""
    select pg_relation_filenode(oid)::bigint as filenode,
           pg_relation_size(oid) / current_setting('block_size')::int as blocks
    from pg_class where oid = to_regclass(:table)
""")


@dataclass(frozen=True)
class Range:
    """Heap blocks from `first` up to `end`, without it, of the file `filenode`."""

    first: int
    end: int
    filenode: int


@dataclass(frozen=True)
class SweepState:
    """`done` of `blocks` are behind the mark; the rows of `claims` ranges are being worked on."""

    blocks: int
    done: int
    claims: int

    @property
    def is_complete(self) -> bool:
        return self.done >= self.blocks and not self.claims


def begin(migration: Migration) -> None:
    """Sets the mark before the table's first block, unless it is set; again when the table was
    rewritten since then (VACUUM FULL, CLUSTER). Raises DatabaseError."""
    with translate_errors("starting the sweep"), migration.engine.begin() as connection:
        connection.execute(_first_row(connection, migration).on_conflict_do_nothing())
        require_same_file(connection, migration)


def require_same_file(connection: sa.Connection, migration: Migration) -> bool:
    """False when the table was rewritten: then the sweep begins again. Whoever has read from the
    table in this transaction keeps others from rewriting it."""
    current = connection.execute(_HEAP, {"table": migration.quoted_table}).one()
    query = sa.select(SWEEP.c.filenode).where(SWEEP.c.migration == migration.id)
    if connection.scalar(query.with_for_update()) == current.filenode:
        return True
    restart(connection, migration)
    connection.execute(_first_row(connection, migration))
    return False


def restart(connection: sa.Connection, migration: Migration) -> None:
    """The next backfill walks the whole table again: rows may have been written unseen."""
    for table in (CLAIM, SWEEP):
        connection.execute(sa.delete(table).where(table.c.migration == migration.id))


def state(connection: sa.Connection, migration: Migration) -> SweepState | None:
    """None before the first backfill."""
    claims = sa.select(sa.func.count()).where(CLAIM.c.migration == migration.id)
    query = sa.select(SWEEP.c.blocks, SWEEP.c.next_block, claims.scalar_subquery())
    row = connection.execute(query.where(SWEEP.c.migration == migration.id)).first()
    return SweepState(*row) if row else None


def claim(migration: Migration, worker: str) -> Range | None:
    """The next range, or one of a worker that is gone; None when there is none. Raises
    DatabaseError."""
    with translate_errors("claiming a range"), migration.engine.begin() as connection:
        row = connection.execute(
            sa.select(SWEEP).where(SWEEP.c.migration == migration.id).with_for_update()
        ).first()
        if row is None:
            return None
        if left := _take_over(connection, migration, worker):
            return Range(left.first_block, left.end_block, row.filenode)
        if row.next_block >= row.blocks:
            return None
        share = min(max(MIN_BLOCKS, row.blocks // SHARES), MAX_BLOCKS)
        end = min(row.next_block + share, row.blocks)
        of_table = SWEEP.c.migration == migration.id
        connection.execute(sa.update(SWEEP).where(of_table).values(next_block=end))
        values = {"first_block": row.next_block, "end_block": end, "worker": worker}
        connection.execute(sa.insert(CLAIM).values(migration=migration.id, **values))
        return Range(row.next_block, end, row.filenode)


def finish(migration: Migration, worker: str, done: Range) -> None:
    """Every row of the range has a vector, is a dead letter, or is in the queue; of a file that is
    gone, no range of the new one is finished by it. Raises DatabaseError."""
    is_ours = (
        CLAIM.c.migration == migration.id, CLAIM.c.first_block == done.first,
        CLAIM.c.worker == worker,
        sa.exists().where(SWEEP.c.migration == migration.id, SWEEP.c.filenode == done.filenode),
    )  # fmt: skip
    with translate_errors("finishing a range"), migration.engine.begin() as connection:
        connection.execute(sa.delete(CLAIM).where(*is_ours))


def _take_over(connection: sa.Connection, migration: Migration, worker: str) -> sa.Row[Any] | None:
    free = sa.select(sa.func.min(CLAIM.c.first_block))
    free = free.where(CLAIM.c.migration == migration.id, ~is_alive(CLAIM.c.worker))
    change = sa.update(CLAIM).where(
        CLAIM.c.migration == migration.id, CLAIM.c.first_block == free.scalar_subquery()
    )
    taken = change.values(worker=worker).returning(CLAIM.c.first_block, CLAIM.c.end_block)
    return connection.execute(taken).first()


def _first_row(connection: sa.Connection, migration: Migration) -> Any:
    heap = connection.execute(_HEAP, {"table": migration.quoted_table}).one()
    values = {"filenode": heap.filenode, "blocks": heap.blocks}
    return insert(SWEEP).values(migration=migration.id, next_block=0, **values)
