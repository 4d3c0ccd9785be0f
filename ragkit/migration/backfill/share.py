"""A share of a backfill: ranges of the table and written keys, beside the process that begins and
completes it.

Whoever ends early would leave the ranges of a process that dies to fewer: it ends when no range
is left to anybody. Keys that others hold, jobs of a batch API, and the audit are not waited for.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.model_calls.metering import Reading, meter_requests
from ragkit.migration.backfill.pipeline import require_bound_space, requests_in_flight
from ragkit.migration.backfill.progress import Progress, Tally
from ragkit.migration.backfill.reading.batches import RequestLimits, queue_batches, sweep_batches
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS, Pipeline
from ragkit.migration.backfill.throttle import throttle_for
from ragkit.migration.backfill.waiting import Waiting
from ragkit.migration.control.steering import Steering
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.completion import start_pass
from ragkit.migration.work import sweep
from ragkit.migration.work.jobs import NO_JOBS
from ragkit.migration.work.workers import working
from ragkit.retry import retry_database


def share_backfill(
    migration: Migration, embedder: Embedder, probe_log: Path | None = None
) -> Iterator[Progress]:
    """Fills rows of an expanded migration until no range is left; steered as the whole backfill is,
    and with its quota and budget. Raises as run_backfill."""
    migration.require_phase("backfill")
    require_bound_space(migration, embedder)
    meter = Reading(read_usd(migration))
    in_flight = InFlight(requests_in_flight(migration, embedder))
    tally = Tally(_estimate(migration), meter, in_flight, NO_JOBS)
    yield tally.progress()
    steering = Steering(migration, in_flight, in_flight.limit, follows=False)
    throttle = throttle_for(migration, probe_log)
    model = for_rows(meter_requests(migration, embedder, meter), migration.plan.new.long_texts)
    limits = RequestLimits.of(model.model, migration.plan.backfill.batch_size)
    waiting = Waiting(migration, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds)
    with (
        steering,
        working(migration.engine, "ragkit backfill") as worker,
        Pipeline(migration, model, in_flight, throttle) as pipeline,
    ):
        while True:
            for reason in steering.waiting():
                waiting.restart()
                yield tally.progress(reason=reason)
            before, landed_before = retry_database(start_pass, migration).before, tally.landed
            batches = chain(
                sweep_batches(migration, worker, limits),
                queue_batches(migration, worker, before, limits),
            )
            for landed in pipeline.run(batches, steering.check):
                yield tally.progress(landed, steering.hold or throttle.reason or meter.held)
            if tally.landed > landed_before or steering.hold:
                continue
            if retry_database(_is_walked, migration):
                break
            waiting.wait()
    tally.counted(_estimate(migration))
    yield tally.progress()


def _estimate(migration: Migration) -> coverage.RowCounts:
    with translate_errors("backfill"), migration.engine.connect() as connection:
        return coverage.estimate_rows(connection, migration)


def _is_walked(migration: Migration) -> bool:
    with translate_errors("backfill"), migration.engine.connect() as connection:
        return sweep.state(connection, migration).is_complete
