"""Where a migration stands, as data for the status card and `ragkit status`."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError
from ragkit.migration import ledger, phases
from ragkit.migration.control.settings import read_settings
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.rescue.approximated import MAX_COUNTED, count_marks
from ragkit.migration.schema.expansion import keeps_both
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.serving.canary_reports import last_canary
from ragkit.migration.verdict import GO, find_verdict
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.tables import exist

IN_PLACE = "in place"
"""Of triggers that see every write."""


@dataclass(frozen=True)
class Status:
    """`database` is where this is. `done` of `total` rows have a new vector; of a large table,
    these and the other counts are estimates: it is never counted here. `old_missing` rows lack an
    old vector after a cut-over or a rollback, until `follow` fills them; before, it is None.
    `old_kept_by` says how many of them the bridge of a rescue made, instead of the old model; None
    where it did not.
    `triggers`: what is wrong with them, "in place" when nothing is; None where there are none yet,
    or no more. `queue`: the keys of written rows that wait for a backfill or a follower. `serving`
    is the model that the app says it serves; None when it does not answer. `canary`: what its tests
    show, while one runs or when one went back; else None. `jobs` are those of a batch API; None
    without any. `control`: what people have set by `ragkit control`; None when it is the plan."""

    migration: str
    database: str
    phase: str
    done: int
    total: int
    empty: int
    dead_letters: int
    old_missing: int | None
    old_kept_by: str | None
    triggers: str | None
    queue: str | None
    serving: str | None
    canary: str | None
    next_step: str
    jobs: str | None = None
    control: str | None = None


def read_status(migration: Migration, serving: str | None) -> Status:
    """Raises DatabaseError."""
    old_missing, old_kept_by, triggers, waiting, batches = None, None, None, None, None
    with translate_errors("reading the status"), migration.engine.connect() as connection:
        phase = ledger.phase(connection, migration.id)
        is_expanded = phase != phases.PLANNED
        counts = coverage.estimate_rows(connection, migration, expanded=is_expanded)
        if is_expanded and exist(connection):
            waiting = str(queue.depth(connection, migration))
            batches = str(jobs.count(connection, migration)) or None
        if phase not in (phases.PLANNED, phases.RETIRED):
            triggers = "; ".join(trigger_faults(connection, migration)) or IN_PLACE
        if keeps_both(connection, migration):
            back = coverage.estimate_rows(connection, migration.reversed())
            old_missing = back.pending + back.dead_letters
        if phase != phases.RETIRED and (marks := count_marks(connection, migration)) is not None:
            old_kept_by = _by_bridge(marks)
        verdict = find_verdict(connection, migration)
        canary = last_canary(connection, migration.id)
        control = _control(connection, migration)
    next_step = phases.NEXT_STEPS[phase]
    if phase == phases.COMPARED and verdict is None:
        next_step = "compare again (notebook 03): no verdict under these parameters"
    elif phase == phases.COMPARED and verdict and verdict.verdict != GO:
        next_step = f"the verdict is {verdict.verdict}: see notebook 03"
    return Status(
        migration=migration.id,
        database=migration.database,
        phase=phase,
        done=counts.filled,
        total=counts.fillable,
        empty=counts.empty,
        dead_letters=counts.dead_letters,
        old_missing=old_missing,
        old_kept_by=old_kept_by,
        triggers=triggers,
        queue=waiting,
        serving=serving,
        canary=canary,
        next_step=next_step,
        jobs=batches,
        control=control,
    )


def _control(connection: sa.Connection, migration: Migration) -> str | None:
    try:
        return str(read_settings(connection, migration)) or None
    except ConfigError as error:
        return f"makes no sense: {error}; ragkit control reset"


def _by_bridge(marks: int) -> str:
    rows = f"{marks:,}" if marks <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
    return f"the bridge, not the old model: {rows} approximate vectors"
