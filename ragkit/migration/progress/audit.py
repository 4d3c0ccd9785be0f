"""The audit: every row counted, chunk by chunk of the table, each by a short snapshot.

It says whether sweep and queue have left nothing out. A pending row that is in neither is put into
the queue, so that the next run fills it.
"""

from collections.abc import Callable
from dataclasses import asdict, astuple

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.work import queue, sweep
from ragkit.retry import retry_database

CHUNK_BLOCKS = 4096
"""32 MB: read in well under a second."""
EVENT = "audit"


def audit(migration: Migration, report: Callable[[float], object] = lambda _: None) -> RowCounts:
    """Counts every row once and records it in the ledger; `report` gets the share that is done.

    Rows that are written meanwhile may be missed or counted twice; one that is pending is in the
    queue then. Raises DatabaseError.
    """
    total, first = RowCounts(0, 0, 0, 0, 0), 0
    while True:
        blocks, chunk = retry_database(_count_chunk, migration, first)
        total = RowCounts(*(a + b for a, b in zip(astuple(total), astuple(chunk), strict=True)))
        first += CHUNK_BLOCKS
        if first >= blocks:
            break
        report(first / blocks)
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


def _count_chunk(migration: Migration, first: int) -> tuple[int, RowCounts]:
    """The table's blocks, and the counts of those from `first` on."""
    where = coverage.in_blocks(first, first + CHUNK_BLOCKS)
    with translate_errors("counting rows"), migration.engine.begin() as connection:
        blocks = coverage.count_blocks(connection, migration)
        counts = coverage.count_rows(connection, migration, *where)
        walked = sweep.state(connection, migration)
        if counts.pending and walked and walked.is_complete:
            queue.add_pending(connection, migration, *where)
    return blocks, counts
