"""Where a migration stands, as data for the status card and `ragkit status`."""

from dataclasses import dataclass

from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.verdict import GO

NEXT_STEPS = {
    ledger.PLANNED: "expand and backfill (notebook 02)",
    ledger.EXPANDED: "continue the backfill (notebook 02)",
    ledger.BACKFILLED: "compare old and new (notebook 03)",
    ledger.COMPARED: "cut over (notebook 04)",
    ledger.CUT_OVER: "watch; then retire (05), or roll back (90)",
    ledger.ROLLED_BACK: "find the cause; then cut over again (04)",
    ledger.RETIRED: "none: the migration is complete",
}


@dataclass(frozen=True)
class Status:
    """`done` of `total` rows have a new vector. `serving` is the model that the app says it
    serves; None when it does not answer. `rollback_misses` counts the rows that the old column
    lacks after a cut-over, until `follow` fills them."""

    migration: str
    phase: str
    done: int
    total: int
    empty: int
    dead_letters: int
    rollback_misses: int | None
    serving: str | None
    next_step: str


def read_status(migration: Migration, serving: str | None) -> Status:
    """Raises DatabaseError."""
    misses = None
    with translate_errors("reading the status"), migration.engine.connect() as connection:
        phase = ledger.phase(connection, migration.id)
        if phase == ledger.PLANNED:
            counts = coverage.count_before_expand(connection, migration)
        else:
            counts = coverage.count_rows(connection, migration)
        if phase == ledger.CUT_OVER:
            back = coverage.count_rows(connection, migration.reversed())
            misses = back.pending + back.dead_letters
        decision = ledger.last_event(connection, migration.id, "verdict")
    next_step = NEXT_STEPS[phase]
    if phase == ledger.COMPARED and decision and decision.detail["verdict"] != GO:
        next_step = f"the verdict is {decision.detail['verdict']}: see notebook 03"
    return Status(
        migration=migration.id,
        phase=phase,
        done=counts.filled,
        total=counts.fillable,
        empty=counts.empty,
        dead_letters=counts.dead_letters,
        rollback_misses=misses,
        serving=serving,
        next_step=next_step,
    )
