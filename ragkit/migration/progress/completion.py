"""When a backfill is complete: the table is walked, the queue is empty, and an audit agrees."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.retrieval import contract_changes
from ragkit.retrieval.space import READY

_SNAPSHOT = sa.text("""
    select pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint
""")
GRACE_SECONDS = 60
"""Rows written since the last catch-up are not overdue for so long after it."""


@dataclass(frozen=True)
class PassStart:
    """Where a pass starts: the keys in the queue, and the snapshot. What was written `before` it is
    for this pass; what is not `since` it had been written for certain."""

    keys: int
    before: int
    since: int


def start_pass(migration: Migration) -> PassStart:
    """Raises DatabaseError."""
    with translate_errors("backfill"), migration.engine.connect() as connection:
        since, before = connection.execute(_SNAPSHOT).one()
        return PassStart(queue.depth(connection, migration).keys, before, since)


def has_caught_up(connection: sa.Connection, migration: Migration, last: PassStart) -> bool:
    """Whether the table is walked, no row in a job, and the queue empty; or, under steady writes,
    whether the last pass started with keys and left no fewer, all of them written since. So a
    backfill ends however slow the model is."""
    if not read_sweep(connection, migration).is_complete:
        return False
    if jobs.are_open(connection, migration):
        return False
    keys = queue.depth(connection, migration).keys
    return not keys or (
        keys >= last.keys > 0 and not queue.has_older(connection, migration, last.since)
    )


def needs_audit(migration: Migration, last: PassStart) -> bool:
    """Whether a first completion waits for nothing else. Raises DatabaseError."""
    with translate_errors("finishing the backfill"), migration.engine.connect() as connection:
        is_first = ledger.phase(connection, migration.id) == phases.EXPANDED
        return is_first and has_caught_up(connection, migration, last)


def complete(migration: Migration, last: PassStart, counts: RowCounts | None) -> bool:
    """Marks the column ready, in one transaction, if it has caught up; `counts` are those of the
    audit that a first completion needs. Raises DatabaseError."""
    plan = migration.plan
    with translate_errors("finishing the backfill"), migration.engine.begin() as connection:
        is_first = ledger.phase(connection, migration.id) == phases.EXPANDED
        if not has_caught_up(connection, migration, last) or (is_first and counts is None):
            return False
        ledger.record_catch_up(connection, migration.id, last.since)
        place = plan.table.qualified_name, plan.new.column
        contract_changes.set_state(connection, *place, READY, migration.where)
        # of two that end together, the second one has waited for the first one's row
        if counts and ledger.phase(connection, migration.id) == phases.EXPANDED:
            ledger.record(connection, migration.id, phases.BACKFILLED, **asdict(counts))
    return True


def overdue_rows(connection: sa.Connection, migration: Migration, counts: RowCounts) -> int:
    """Pending rows that the last catch-up should have filled; all of `counts` while the table is
    not walked, or rows are in jobs. Rows written since do not count, so that a table with steady
    writes can be complete."""
    is_walked = read_sweep(connection, migration).is_complete
    if not is_walked or jobs.are_open(connection, migration):
        return counts.pending
    since = ledger.last_catch_up(connection, migration.id, GRACE_SECONDS)
    return queue.pending_rows(connection, migration, since)
