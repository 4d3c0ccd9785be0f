"""The audit: every row counted, chunk by chunk of each leaf, each by a short snapshot.

It says whether sweep, jobs and queue have left nothing out. A pending row that is in none of them
is put into the queue, so that the next run fills it.
"""

from collections.abc import Callable
from dataclasses import asdict, astuple

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafGone, LeafMigration, of_leaves, unless_gone
from ragkit.migration.progress import coverage
from ragkit.migration.progress.coverage import NONE, RowCounts
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.retry import retry_database

CHUNK_BLOCKS = 4096
"""32 MB: read in well under a second."""
EVENT = "audit"


def audit(migration: Migration, report: Callable[[float], object] = lambda _: None) -> RowCounts:
    """Counts every row once and records it in the ledger; `report` gets the share that is done.

    Rows that are written meanwhile may be missed or counted twice; one that is pending is in the
    queue then. Raises DatabaseError.
    """
    with translate_errors("counting rows"), migration.engine.connect() as connection:
        leaves = of_leaves(connection, migration)
    total, counted = NONE, 0
    blocks = sum(leaf.leaf.blocks for leaf in leaves)
    for leaf in leaves:
        first, end = 0, leaf.leaf.blocks
        while first < end or first == 0:  # the end of a table that grows moves
            end, chunk = retry_database(_count_chunk, migration, leaf, first)
            total = RowCounts(*(a + b for a, b in zip(astuple(total), astuple(chunk), strict=True)))
            first += CHUNK_BLOCKS
            report(min(1.0, (counted + min(first, end)) / max(blocks, 1)))
        counted += leaf.leaf.blocks
    report(1.0)
    migration.record(EVENT, **asdict(total))
    return total


def last_audit(connection: sa.Connection, migration: Migration) -> RowCounts | None:
    """The counts of the newest audit; None when there is none since the triggers last missed
    writes."""
    counts: RowCounts | None = None
    for event in ledger.events(connection, migration.id):
        if event.kind == EVENT:
            counts = RowCounts(**event.detail)
        elif event.kind == ledger.TRIGGERS_RESTORED:
            counts = None
    return counts


def _count_chunk(migration: Migration, leaf: LeafMigration, first: int) -> tuple[int, RowCounts]:
    """The leaf's blocks, and the counts of those from `first` on; of a partition that is gone,
    there are none."""
    where = coverage.in_blocks(first, first + CHUNK_BLOCKS)
    try:
        with translate_errors("counting rows"), migration.engine.begin() as connection:
            with unless_gone(leaf):
                counts = coverage.count_rows(connection, leaf, *where)
            blocks = coverage.count_blocks(connection, leaf)
            if counts.pending and _are_unaccounted(connection, migration):
                queue.add_pending(connection, leaf, *where)
    except LeafGone:
        return 0, NONE
    return blocks, counts


def _are_unaccounted(connection: sa.Connection, migration: Migration) -> bool:
    """Whether pending rows belong into the queue: they are in no range and in no job."""
    is_walked = read_sweep(connection, migration).is_complete
    return is_walked and not jobs.are_open(connection, migration)
