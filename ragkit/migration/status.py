"""Where a migration stands, as data for the status card and `python -m ragkit status`."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.migration import coverage, ledger
from ragkit.migration.subject import Migration
from ragkit.migration.verdict import GO

NEXT = {
    ledger.PLANNED: "expand and backfill (notebook 02)",
    ledger.EXPANDED: "go on with the backfill (notebook 02)",
    ledger.BACKFILLED: "compare old and new (notebook 03)",
    ledger.COMPARED: "cut over (notebook 04)",
    ledger.CUT_OVER: "watch; then retire (05), or roll back (90)",
    ledger.ROLLED_BACK: "find the cause; then cut over again (04)",
    ledger.RETIRED: "nothing: the migration is complete",
}


@dataclass(frozen=True)
class Status:
    """`serving` is the model that the app says it serves, None when it does not answer.
    `rollback_misses` counts rows that the old column lacks, once cut over: follow mends them."""

    migration: str
    phase: str
    done: int
    total: int
    empty: int
    set_aside: int
    rollback_misses: int | None
    serving: str | None
    next_step: str


def status(migration: Migration, serving: str | None) -> Status:
    with plain_errors("reading the status"), migration.engine.connect() as connection:
        phase = ledger.phase(connection, migration.id)
        if phase == ledger.PLANNED:
            rows = sa.select(sa.func.count()).select_from(migration.table)
            now = coverage.Coverage(connection.scalar(rows), 0, 0, 0, 0)
            done, total = 0, now.rows
        else:
            now = coverage.count(connection, migration)
            done, total = now.filled, now.filled + now.pending + now.set_aside
        misses = None
        if phase == ledger.CUT_OVER:
            back = coverage.count(connection, migration.reversed())
            misses = back.pending + back.set_aside
        decided = ledger.last(connection, migration.id, "verdict")
    next_step = NEXT[phase]
    if phase == ledger.COMPARED and decided.detail["verdict"] != GO:
        next_step = f"the verdict is {decided.detail['verdict']}: see notebook 03"
    return Status(
        migration.id, phase, done, total, now.empty, now.set_aside, misses, serving, next_step
    )  # fmt: skip
