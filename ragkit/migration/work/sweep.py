"""The sweep: each leaf of the table is walked once, by ranges of heap blocks, whatever its size.

A range is claimed by moving the leaf's mark, and forgotten when its rows are done. A row that is
written behind the mark is in the queue. A partition that comes is walked, one that goes is
forgotten; a plain table is one leaf.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import BLOCKS, TREE, Leaf
from ragkit.migration.work.tables import CLAIM, SWEEP
from ragkit.migration.work.workers import is_alive

MIN_BLOCKS, MAX_BLOCKS = 16, 512
"""Of a range. The rows of one write should each be on a page of its own."""
FROZEN_SECONDS = 10.0
"""The server ends a session that says nothing for so long while it holds the marks."""
SHARES = 4
"""Ranges of a small leaf, so that several workers find some."""
# The migration's marks are changed by one transaction at a time.
_LOCK = sa.text("""
    select set_config('idle_in_transaction_session_timeout', :frozen, true),
           pg_advisory_xact_lock(hashtextextended('ragkit sweep ' || :id, 0))
""")
# Also of a leaf that was rewritten (VACUUM FULL, CLUSTER): it is walked again.
_FORGET = sa.text(f"""{TREE}
    delete from {SWEEP} s where s.migration = :id and not exists (
        select from tree where tree.oid = s.relation and pg_relation_filenode(oid) = s.filenode)
""")
_ADD = sa.text(f"""{TREE}
    insert into {SWEEP} (migration, relation, filenode, blocks)
    select :id, c.oid, pg_relation_filenode(c.oid), {BLOCKS}
    from tree join pg_class c using (oid)
    where c.relkind = 'r'
      and not exists (select from {SWEEP} s where s.migration = :id and s.relation = c.oid)
""")
_MARKS = f"""
    select s.relation, n.nspname as schema, c.relname as name, s.filenode, s.blocks, s.next_block
    from {SWEEP} s join pg_class c on c.oid = s.relation
    join pg_namespace n on n.oid = c.relnamespace
    where s.migration = :id
"""
_CLAIMS = sa.text(f"""
    select m.*, k.first_block, k.end_block from ({_MARKS}) m
    join {CLAIM} k on k.migration = :id and k.relation = m.relation
""")
_NEXT = sa.text(f"{_MARKS} and s.next_block < s.blocks order by s.relation limit 1")
_MARK = sa.text(f"{_MARKS} and s.relation = :relation")


@dataclass(frozen=True)
class Range:
    """Heap blocks of `leaf` from `first` up to `end`, without it."""

    leaf: Leaf
    first: int
    end: int


def begin(migration: Migration) -> None:
    """Sets a mark before the first block of each leaf that has none. Raises DatabaseError."""
    with translate_errors("starting the sweep"), migration.engine.begin() as connection:
        _refresh(connection, migration)


def is_current(connection: sa.Connection, claimed: Range) -> bool:
    """False when the leaf was rewritten since the claim. Whoever has read from it in this
    transaction keeps others from rewriting it."""
    file = sa.select(sa.func.pg_relation_filenode(sa.text(f"{claimed.leaf.oid:d}")))
    return connection.scalar(file) == claimed.leaf.filenode


def forget(migration: Migration, leaf: Leaf) -> None:
    """Its mark and claims. If the leaf is there, perhaps under another name or in another file, it
    is walked again. Raises DatabaseError."""
    with translate_errors("restarting the sweep"), migration.engine.begin() as connection:
        _lock(connection, migration)
        connection.execute(sa.delete(SWEEP).where(*_of_leaf(SWEEP, migration, leaf)))


def restart(connection: sa.Connection, migration: Migration) -> None:
    """The next backfill walks the whole table again: rows may have been written unseen."""
    _lock(connection, migration)
    connection.execute(sa.delete(SWEEP).where(SWEEP.c.migration == migration.id))


def claims(connection: sa.Connection, migration: Migration) -> list[Range]:
    """What workers are busy with."""
    rows = connection.execute(_CLAIMS, {"id": migration.id})
    return [Range(_leaf(row), row.first_block, row.end_block) for row in rows]


def claim(migration: Migration, worker: str) -> Range | None:
    """The next range, or one of a worker that is gone; None when there is none. Raises
    DatabaseError."""
    with translate_errors("claiming a range"), migration.engine.begin() as connection:
        _refresh(connection, migration)
        if taken := _take_over(connection, migration, worker):
            names = {"id": migration.id, "relation": taken.relation}
            mark = connection.execute(_MARK, names).first()
            return Range(_leaf(mark), taken.first_block, taken.end_block) if mark else None
        mark = connection.execute(_NEXT, {"id": migration.id}).first()
        if mark is None:
            return None
        leaf = _leaf(mark)
        share = min(max(MIN_BLOCKS, leaf.blocks // SHARES), MAX_BLOCKS)
        claimed = Range(leaf, mark.next_block, min(mark.next_block + share, leaf.blocks))
        change = sa.update(SWEEP).where(*_of_leaf(SWEEP, migration, leaf))
        connection.execute(change.values(next_block=claimed.end))
        values = {"first_block": claimed.first, "end_block": claimed.end, "worker": worker}
        entry = sa.insert(CLAIM).values(migration=migration.id, relation=leaf.oid, **values)
        connection.execute(entry)
        return claimed


def finish(migration: Migration, worker: str, done: Range) -> None:
    """Every row of the range has a vector, is a dead letter, or is in the queue; of a file that is
    gone, no range of the new one is finished by it. Raises DatabaseError."""
    with translate_errors("finishing a range"), migration.engine.begin() as connection:
        finish_with(connection, migration, worker, done)


def finish_with(connection: sa.Connection, migration: Migration, worker: str, done: Range) -> bool:
    """The same in a transaction, with what makes it true. False where there is no such claim: it
    was made already, or the file is gone."""
    is_walked = *_of_leaf(SWEEP, migration, done.leaf), SWEEP.c.filenode == done.leaf.filenode
    is_ours = (
        *_of_leaf(CLAIM, migration, done.leaf), CLAIM.c.first_block == done.first,
        CLAIM.c.worker == worker, sa.exists().where(*is_walked),
    )  # fmt: skip
    return connection.execute(sa.delete(CLAIM).where(*is_ours)).rowcount > 0


def _refresh(connection: sa.Connection, migration: Migration) -> None:
    """A mark for each leaf that the table has now, and for no other one."""
    _lock(connection, migration)
    connection.execute(_FORGET, _names(migration))
    connection.execute(_ADD, _names(migration))


def _lock(connection: sa.Connection, migration: Migration) -> None:
    connection.execute(_LOCK, {"id": migration.id, "frozen": f"{FROZEN_SECONDS * 1000:.0f}"})


def _take_over(connection: sa.Connection, migration: Migration, worker: str) -> sa.Row[Any] | None:
    place = CLAIM.c.relation, CLAIM.c.first_block
    free = sa.select(*place).where(CLAIM.c.migration == migration.id, ~is_alive(CLAIM.c.worker))
    first = free.order_by(*place).limit(1)
    change = sa.update(CLAIM).where(CLAIM.c.migration == migration.id, sa.tuple_(*place).in_(first))
    taken = change.values(worker=worker).returning(*place, CLAIM.c.end_block)
    return connection.execute(taken).first()


def _leaf(mark: sa.Row[Any]) -> Leaf:
    return Leaf(mark.relation, mark.schema, mark.name, mark.filenode, mark.blocks)


def _of_leaf(
    table: sa.Table, migration: Migration, leaf: Leaf
) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return table.c.migration == migration.id, table.c.relation == leaf.oid


def _names(migration: Migration) -> dict[str, str]:
    return {"id": migration.id, "table": migration.quoted_table}
