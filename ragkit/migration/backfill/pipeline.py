"""The backfill: the sweep's ranges, then the queue, until the column is complete, while the app
serves. By `backfill.mode: batch`, the first one leaves the ranges to jobs of a batch API.

Ranges, queue and rows are the resume point: a run after a kill continues with what is left. Several
runs at once share the work.
"""

import logging
from collections.abc import Generator, Iterator
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.errors import ConfigError, DatabaseError, SpaceMismatch
from ragkit.migration.backfill.batch.preparing import is_by_jobs
from ragkit.migration.backfill.batch.stage import BatchStage
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.model_calls.metering import Reading, meter_requests
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.backfill.old_snapshots import OldSnapshots
from ragkit.migration.backfill.progress import Progress, Tally
from ragkit.migration.backfill.reading.batches import RequestLimits, queue_batches, sweep_batches
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS, Pipeline
from ragkit.migration.backfill.throttle import throttle_for
from ragkit.migration.backfill.waiting import Waiting
from ragkit.migration.control.steering import Held, Steering
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.audit import audit
from ragkit.migration.progress.completion import complete, needs_audit, start_pass
from ragkit.migration.work import jobs, sweep
from ragkit.migration.work.workers import working
from ragkit.retrieval import contract
from ragkit.retrieval.space import Space
from ragkit.retry import retry_database

log = logging.getLogger(__name__)


def run_backfill(
    migration: Migration,
    embedder: Embedder,
    executor: Executor | None = None,
    probe_log: Path | None = None,
    *,
    wait: bool = True,
    steered_as: Migration | None = None,
) -> Generator[Progress, None, None]:
    """Fills the new column; at the end, when the database says so, marks it ready.

    The first Progress tells where the run starts. `executor` runs the model (default: threads);
    `probe_log` is a running probe's, for the throttle; without `wait`, what others hold is left to
    them, and so are the ranges and jobs of backfill.mode: batch, and it ends when it is paused.
    `steered_as`: the migration whose settings count, where this is its way back.
    Raises ConfigError (no batch API), SpaceMismatch (the embedder makes another space than the
    contract binds), ModelError, DatabaseError, Stopped by somebody, or PhaseError when others hold
    rows and nothing changes; what was written stays, and the next run continues.
    """
    migration.require_phase("backfill")
    require_bound_space(migration, embedder)
    meter = Reading(read_usd(migration))
    in_flight = InFlight(requests_in_flight(migration, embedder))
    with translate_errors("backfill"), migration.engine.connect() as connection:
        counts = coverage.estimate_rows(connection, migration)
        tally = Tally(counts, meter, in_flight, jobs.count(connection, migration))
    start = tally.progress()
    log.info("backfill starts from %d of %d", start.done, start.total)
    yield start
    steering = Steering(steered_as or migration, in_flight, in_flight.limit, follows=not wait)
    if not wait and steering.hold:
        yield tally.progress(reason=steering.hold)
        return
    throttle = throttle_for(migration, probe_log)
    model = for_rows(meter_requests(migration, embedder, meter), migration.plan.new.long_texts)
    snapshots = OldSnapshots(migration)
    stage = None
    if wait and (is_by_jobs(migration) or tally.jobs.open):
        stage = BatchStage(migration, embedder, throttle, sweeps=is_by_jobs(migration))
    waiting = Waiting(migration, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds)
    with (
        suppress(Held),
        steering,
        working(migration.engine, "ragkit backfill") as worker,
        Pipeline(migration, model, in_flight, throttle, executor) as pipeline,
    ):
        retry_database(sweep.begin, migration)
        while True:
            for reason in steering.waiting():
                waiting.restart()
                yield tally.progress(reason=reason)
            last = retry_database(start_pass, migration)
            landed_before = tally.landed
            for landed in _pass(migration, worker, pipeline, stage, last.before, steering):
                reason = steering.hold or throttle.reason or meter.held
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
    if pipeline.reused:
        migration.record("reused", rows=pipeline.reused)
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
    migration: Migration, worker: str, pipeline: Pipeline, stage: BatchStage | None, before: int,
    steering: Steering,
) -> Iterator[int]:  # fmt: skip
    """The rows that landed, after each write. `before` as of PassStart."""
    model = pipeline.model
    limits = RequestLimits.of(model, migration.plan.backfill.batch_size)
    if not is_by_jobs(migration):
        yield from pipeline.run(sweep_batches(migration, worker, limits), steering.check)
    yield from pipeline.run(queue_batches(migration, worker, before, limits), steering.check)
    if stage and not steering.hold:
        yield from stage.advance(worker)


def requests_in_flight(migration: Migration, embedder: Embedder) -> int:
    """The plan's, else the catalogue's. Raises ConfigError when the quota is smaller."""
    wanted = migration.plan.backfill.in_flight or embedder.model.in_flight
    quota = Quota.of(embedder.model, migration.plan.backfill).requests
    if quota and migration.plan.backfill.in_flight > quota:
        raise ConfigError(
            f"backfill.in_flight is {wanted}, but the quota of {embedder.model.name} is {quota} "
            f"requests a minute: set backfill.in_flight to {quota} or less, or "
            "backfill.requests_per_minute to your quota"
        )
    return min(wanted, quota or wanted)


def require_bound_space(migration: Migration, embedder: Embedder) -> None:
    """A column takes only vectors of the space that the contract binds it to. Raises SpaceMismatch,
    or DatabaseError without a contract."""
    plan = migration.plan
    with translate_errors("backfill"), migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, plan.table.qualified_name)
    place = plan.new.column, migration.where
    bound = next((b for b in bindings if (b.column, b.where) == place), None)
    if bound is None:
        raise DatabaseError(f"no contract for {plan.new.column!r}: run expand first")
    space = Space.of(embedder.model, plan.template(plan.new))
    is_of_model = bound.space.is_of(embedder.model)
    if is_of_model and space.only_adds_to(replace(bound.space, model=space.model)):
        raise SpaceMismatch(
            f"long_texts of {bound.column!r} was refuse and is another now: run backfill "
            "(notebook 02) first, which takes the change into the contract"
        )
    if bound.space.template != space.template or not is_of_model:
        raise SpaceMismatch(
            f"column {bound.column!r} is bound to {bound.space.model} "
            f"({bound.space.fingerprint}), the embedder makes {space.model} ({space.fingerprint})"
        )
