"""When a backfill is complete: only when the database says so."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.coverage import RowCounts
from ragkit.retrieval import contract_changes
from ragkit.retrieval.space import READY

GRACE_SECONDS = 60
"""Rows written since the last catch-up are not overdue for so long after it."""


@dataclass(frozen=True)
class PassStart:
    """The number of pending rows at the start of a pass, and the snapshot it started with."""

    pending: int
    since: int


@dataclass(frozen=True)
class CompletionCheck:
    """Whether the backfill is complete, and the counts that say so."""

    complete: bool
    counts: RowCounts


def oldest_running_transaction(migration: Migration) -> int:
    """What this transaction and later ones write is new to a pass that starts now.

    Raises DatabaseError.
    """
    with translate_errors("backfill"), migration.engine.connect() as connection:
        snapshot: int = connection.scalars(coverage.CURRENT_SNAPSHOT).one()
        return snapshot


def try_to_complete(migration: Migration, last_pass: PassStart | None) -> CompletionCheck:
    """Marks the column ready, in one transaction, if the backfill is complete.

    It is when no row is pending; or, under steady writes, when the last pass left no fewer pending
    rows than it started with, all of them written since it started. So a backfill ends however
    slow the model is. Raises DatabaseError.
    """
    plan = migration.plan
    with translate_errors("finishing the backfill"), migration.engine.begin() as connection:
        counts = coverage.count_rows(connection, migration)
        complete = not counts.pending or (
            last_pass is not None
            and counts.pending >= last_pass.pending
            and not coverage.count_older(connection, migration, last_pass.since)
        )
        if complete:
            snapshot = coverage.CURRENT_SNAPSHOT
            since = last_pass.since if last_pass else connection.scalars(snapshot).one()
            ledger.record_catch_up(connection, migration.id, since)
            contract_changes.set_state(
                connection, plan.table.qualified_name, plan.new.column, READY
            )
            if ledger.phase(connection, migration.id) == phases.EXPANDED:
                detail = {
                    "rows": counts.filled, "empty": counts.empty,
                    "dead_letters": counts.dead_letters,
                }  # fmt: skip
                ledger.record(connection, migration.id, phases.BACKFILLED, **detail)
    return CompletionCheck(complete, counts)


def overdue_rows(connection: sa.Connection, migration: Migration, counts: RowCounts) -> int:
    """Pending rows that the last catch-up should have filled. Rows written since do not count, so
    that a table with steady writes can be complete."""
    since = ledger.last_catch_up(connection, migration.id, GRACE_SECONDS)
    return counts.pending if since is None else coverage.count_older(connection, migration, since)
