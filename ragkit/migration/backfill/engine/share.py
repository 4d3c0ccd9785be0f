"""A share of a backfill, in a process that nobody hands units to: beside the one that begins and
completes it, as the tasks of a job."""

from collections.abc import Generator
from itertools import chain
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.migration.backfill.filling import Filling
from ragkit.migration.backfill.progress import Progress, Tally
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS
from ragkit.migration.backfill.waiting import Waiting
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.completion import start_pass
from ragkit.migration.work.jobs import NO_JOBS
from ragkit.migration.work.sweep_state import is_walked
from ragkit.retry import retry_database


def share_backfill(
    migration: Migration, embedder: Embedder, probe_log: Path | None = None
) -> Generator[Progress, None, None]:
    """Fills rows of a migration that is expanded until no range is left to anybody: those of a
    process that dies are taken over. Keys that others hold, the audit and the index are left to
    the process that completes. Raises as run_backfill."""
    filling = Filling(migration, embedder, probe_log)
    tally = Tally(_estimate(migration), filling.meter, filling.in_flight, NO_JOBS)
    yield tally.progress()
    steering = filling.steered_as(migration, follows=False)
    waiting = Waiting(migration, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds)
    with filling.open(steering):
        while True:
            for reason in steering.waiting():
                waiting.restart()
                yield tally.progress(reason=reason)
            last, landed_before = retry_database(start_pass, migration), tally.landed
            for landed in chain(filling.sweep(), filling.empty_queue(last.before)):
                reason = steering.hold or filling.throttle.reason or filling.meter.held
                yield tally.progress(landed, reason)
            if retry_database(is_walked, migration):
                break
            if tally.landed == landed_before and not steering.hold:
                waiting.wait()
    filling.record_reused()
    tally.counted(_estimate(migration))
    yield tally.progress()


def _estimate(migration: Migration) -> coverage.RowCounts:
    with translate_errors("backfill"), migration.engine.connect() as connection:
        return coverage.estimate_rows(connection, migration)
