"""The backfill: the sweep's ranges, then the queue, until the column is complete, while the app
serves. By `backfill.mode: batch`, the first one leaves the ranges to jobs of a batch API.

Ranges, queue and rows are the resume point: a run after a kill continues with what is left. Several
runs at once share the work.
"""

import logging
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.migration.backfill.batch.preparing import is_by_jobs
from ragkit.migration.backfill.batch.stage import BatchStage
from ragkit.migration.backfill.filling import Filling
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.old_snapshots import OldSnapshots
from ragkit.migration.backfill.progress import Progress, Tally
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS
from ragkit.migration.backfill.waiting import Waiting
from ragkit.migration.control.steering import Held, Steering
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.audit import audit
from ragkit.migration.progress.completion import complete, needs_audit, start_pass
from ragkit.migration.work import jobs
from ragkit.retry import retry_database

log = logging.getLogger(__name__)


def run_backfill(
    migration: Migration,
    embedder: Embedder,
    probe_log: Path | None = None,
    *,
    wait: bool = True,
    steered_as: Migration | None = None,
) -> Generator[Progress, None, None]:
    """Fills the new column; at the end, when the database says so, marks it ready.

    The first Progress tells where the run starts. `probe_log` is a running probe's, for the
    throttle; without `wait`, what others hold is left to them, and so are the ranges and jobs of
    backfill.mode: batch, and it ends when it is paused. `steered_as`: the migration whose settings
    count, where this is its way back. Raises as Filling; ConfigError (no batch API), ModelError,
    DatabaseError, Stopped by somebody, or PhaseError when others hold rows and nothing changes;
    what was written stays, and the next run continues.
    """
    filling = Filling(migration, embedder, probe_log)
    with translate_errors("backfill"), migration.engine.connect() as connection:
        counts = coverage.estimate_rows(connection, migration)
        in_jobs = jobs.count(connection, migration)
    tally = Tally(counts, filling.meter, filling.in_flight, in_jobs)
    start = tally.progress()
    log.info("backfill starts from %d of %d", start.done, start.total)
    yield start
    steering = filling.steered_as(steered_as or migration, follows=not wait)
    if not wait and steering.hold:
        yield tally.progress(reason=steering.hold)
        return
    snapshots, stage = OldSnapshots(migration), None
    if wait and (is_by_jobs(migration) or tally.jobs.open):
        stage = BatchStage(migration, embedder, filling.throttle, sweeps=is_by_jobs(migration))
    waiting = Waiting(migration, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds)
    with suppress(Held), filling.open(steering) as worker:
        while True:
            for reason in steering.waiting():
                waiting.restart()
                yield tally.progress(reason=reason)
            last = retry_database(start_pass, migration)
            landed_before = tally.landed
            for landed in _pass(migration, worker, filling, stage, last.before, steering):
                reason = steering.hold or filling.throttle.reason or filling.meter.held
                yield tally.progress(landed, reason or snapshots.look())
            if steering.hold:
                continue
            audited = None
            if retry_database(needs_audit, migration, last):
                tally.counted(audited := audit(migration))
            if retry_database(complete, migration, last, audited) or not wait:
                break
            if stage and tally.looked_at(stage.counts()).open:
                yield tally.progress()
                stage.wait(tally.jobs)
            elif tally.landed == landed_before:
                waiting.wait()
    filling.record_reused()
    _look_again(migration, tally, stage)
    yield tally.progress(reason=steering.hold)


def _look_again(migration: Migration, tally: Tally, stage: BatchStage | None) -> None:
    """At the end: others have worked too."""
    if not tally.is_exact:
        with translate_errors("backfill"), migration.engine.connect() as connection:
            tally.counted(coverage.estimate_rows(connection, migration))
    if stage:
        tally.looked_at(stage.counts())
        tally.meter.usd = read_usd(migration)


def _pass(
    migration: Migration, worker: str, filling: Filling, stage: BatchStage | None, before: int,
    steering: Steering,
) -> Iterator[int]:  # fmt: skip
    """The rows that landed, after each write. `before` as of PassStart."""
    if not is_by_jobs(migration):
        yield from filling.sweep()
    yield from filling.empty_queue(before)
    if stage and not steering.hold:
        yield from stage.advance(worker)
