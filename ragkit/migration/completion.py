"""When a backfill is complete: said only when the database says so."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit import contract
from ragkit.database import plain_errors
from ragkit.migration import coverage, ledger
from ragkit.migration.subject import Migration

FRESH_SECONDS = 60
"""A catch-up not longer ago than this excuses what was written since."""


@dataclass(frozen=True)
class Pass:
    """How many rows were pending when it began, and the snapshot it began with."""

    pending: int
    since: int


@dataclass(frozen=True)
class Finished:
    complete: bool
    coverage: coverage.Coverage


def begin_snapshot(migration: Migration) -> int:
    """The oldest transaction still running: what it and later ones write is new to this pass."""
    with plain_errors("backfill"), migration.engine.connect() as connection:
        return connection.scalar(coverage.SNAPSHOT)


def finish(migration: Migration, last: Pass | None) -> Finished:
    """Marks the column ready, in one transaction, when nothing is pending; or, under steady
    writes, when the last pass left no fewer than it found, all of them written since it began:
    so catching up ends however slow the model is."""
    plan = migration.plan
    with plain_errors("finishing the backfill"), migration.engine.begin() as connection:
        now = coverage.count(connection, migration)
        complete = not now.pending or (
            last is not None
            and now.pending >= last.pending
            and not coverage.older(connection, migration, last.since)
        )
        if complete:
            since = last.since if last else connection.scalar(coverage.SNAPSHOT)
            ledger.caught_up(connection, migration.id, since)
            contract.set_state(connection, plan.qualified, plan.new_column, contract.READY)
            if ledger.phase(connection, migration.id) == ledger.EXPANDED:
                counts = {"rows": now.filled, "empty": now.empty, "set_aside": now.set_aside}
                migration.record(connection, ledger.BACKFILLED, **counts)
    return Finished(complete, now)


def behind(connection: sa.Connection, migration: Migration, now: coverage.Coverage) -> int:
    """Pending rows that the last catch-up should have filled; what was written just now is not
    counted, so that a table that is written to all the time can be full."""
    since = ledger.last_caught_up(connection, migration.id, FRESH_SECONDS)
    return now.pending if since is None else coverage.older(connection, migration, since)
