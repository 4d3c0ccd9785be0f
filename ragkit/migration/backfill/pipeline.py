"""The backfill: read pending rows, embed them, write them, batch by batch, while the app serves.

The next batch is with the model while the previous one is written. No model is called inside a
transaction. The table itself is the resume point: a run after a kill continues with the rows that
have no vector yet. Several runs at once share the work.
"""

import logging
import time
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.errors import DatabaseError, ModelBusy, SpaceMismatch
from ragkit.migration import ledger
from ragkit.migration.backfill.batches import Batch, pending_batches
from ragkit.migration.backfill.embed import EmbeddingResult, embed_texts
from ragkit.migration.backfill.metering import Reading, meter_requests, read_usd
from ragkit.migration.backfill.stripes import OtherBackfills, claim_stripes
from ragkit.migration.backfill.throttle import throttle_for
from ragkit.migration.backfill.write_size import WriteSize
from ragkit.migration.backfill.writer import write_batch
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage, dead_letters
from ragkit.migration.progress.completion import (
    PassStart,
    oldest_running_transaction,
    try_to_complete,
)
from ragkit.retrieval import contract
from ragkit.retrieval.space import Space
from ragkit.retry import retry_database

AHEAD = 1
"""Batches with the model while one is written; the size of a batch takes it into account."""
MODEL_ATTEMPTS = 2
"""No batch takes longer with the model than backfill.model_seconds times this."""
log = logging.getLogger(__name__)

_Ahead = deque[tuple[Batch, Future[EmbeddingResult]]]


@dataclass(frozen=True)
class Progress:
    """`done` of `total` rows have a vector; `rate` is that of this run, in rows/s. `usd` is what
    all runs of this migration have spent, `in_flight` the batches that are with the model now, and
    `waiting` why the backfill is slowed down; "" when it is not."""

    done: int
    total: int
    rate: float
    seconds: float
    usd: float = 0.0
    in_flight: int = 0
    waiting: str = ""

    @property
    def eta_seconds(self) -> float:
        return (self.total - self.done) / self.rate if self.rate else float("inf")


def run_backfill(
    migration: Migration,
    embedder: Embedder,
    executor: Executor | None = None,
    probe_log: Path | None = None,
) -> Generator[Progress, None, None]:
    """Fills the new column; at the end, when the database says so, marks it ready.

    The first Progress tells where the run starts. `executor` runs the model (default: one thread);
    `probe_log` is a running probe's, for the throttle. Raises SpaceMismatch (the embedder makes
    another space than the contract binds), ModelError, DatabaseError, or PhaseError when another
    backfill holds rows and writes none; what was written stays, and the next run continues.
    """
    migration.require_phase("backfill")
    _require_bound_space(migration, embedder)
    with translate_errors("backfill"), migration.engine.connect() as connection:
        start = coverage.count_rows(connection, migration)
        stripes = ledger.stripes(connection, migration.id)
    done, total, start_time = start.filled, start.filled + start.pending, time.monotonic()
    log.info("backfill starts from %d of %d", done, total)
    meter, ahead = Reading(read_usd(migration)), _Ahead()
    yield Progress(done, total, 0.0, 0.0, meter.usd)
    workers = executor or ThreadPoolExecutor(1, "embed")
    size = WriteSize(migration.plan.backfill.batch_size)
    throttle = throttle_for(migration, probe_log) if start.pending else None
    others = OtherBackfills(
        migration, stripes, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds
    )
    try:
        last_pass = None
        while not (check := retry_database(try_to_complete, migration, last_pass)).complete:
            since = retry_database(oldest_running_transaction, migration)
            idle, last_pass = True, PassStart(check.counts.pending, since)
            metered = meter_requests(migration, embedder, meter)
            model = for_rows(metered, migration.plan.new.long_texts)
            with claim_stripes(migration, stripes) as claimed:
                batches = pending_batches(migration, claimed, stripes)
                for batch, result in _embed_ahead(migration, model, workers, batches, ahead):
                    idle = False
                    retry_database(dead_letters.add, migration, _refused(batch, result))
                    for part, vectors in _parts(batch, result, size):
                        done += retry_database(_write, migration, part, vectors, size)
                        if throttle:
                            throttle.wait_if_slow()
                        seconds = time.monotonic() - start_time
                        rate = (done - start.filled) / seconds
                        reason = (throttle.reason if throttle else "") or meter.held
                        yield Progress(
                            done, max(total, done), rate, seconds,
                            meter.usd, sum(f.running() for _, f in ahead), reason,
                        )  # fmt: skip
            if idle:
                others.wait(check.counts.pending)
    finally:
        if workers is not executor:
            workers.shutdown(wait=False, cancel_futures=True)  # a model may hang
    end = check.counts
    if end.filled != done or done > total:
        log.info("others wrote meanwhile: %d rows have vectors", end.filled)
        seconds = time.monotonic() - start_time
        yield Progress(end.filled, end.filled + end.pending, 0.0, seconds, meter.usd)


def _require_bound_space(migration: Migration, embedder: Embedder) -> None:
    """A column takes only vectors of the space that the contract binds it to."""
    plan = migration.plan
    with translate_errors("backfill"), migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, plan.table.qualified_name)
    bound = next((b for b in bindings if b.column == plan.new.column), None)
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


def _embed_ahead(
    migration: Migration,
    embedder: Embedder,
    executor: Executor,
    batches: Iterator[Batch],
    waiting: _Ahead,
) -> Iterator[tuple[Batch, EmbeddingResult]]:
    """Each batch with the model's answers, AHEAD batches ahead of the writer; `waiting` holds
    those that are."""
    seconds = migration.plan.backfill.model_seconds
    for batch in batches:
        waiting.append((batch, executor.submit(embed_texts, embedder, batch.texts, seconds)))
        if len(waiting) > AHEAD:
            yield _next_result(waiting, seconds)
    while waiting:
        yield _next_result(waiting, seconds)


def _next_result(waiting: _Ahead, seconds: float) -> tuple[Batch, EmbeddingResult]:
    """Raises ModelBusy when no answer comes in time."""
    batch, future = waiting.popleft()
    try:
        return batch, future.result(timeout=MODEL_ATTEMPTS * seconds)
    except TimeoutError:
        raise ModelBusy(
            f"the model did not answer in {MODEL_ATTEMPTS * seconds:g} s: run this again, or raise "
            "backfill.model_seconds"
        ) from None


def _refused(batch: Batch, result: EmbeddingResult) -> dict[str, tuple[str, str]]:
    """(text, reason) by key."""
    return {batch.keys[i]: (batch.texts[i], reason) for i, reason in result.refused.items()}


def _parts(
    batch: Batch, result: EmbeddingResult, size: WriteSize
) -> Iterator[tuple[Batch, np.ndarray]]:
    """The embedded rows of a batch, cut to the current write size."""
    positions = sorted(result.vectors)
    while positions:
        chosen, positions = positions[: size.rows], positions[size.rows :]
        part = Batch([batch.keys[i] for i in chosen], [batch.texts[i] for i in chosen])
        yield part, np.stack([result.vectors[i] for i in chosen])


def _write(migration: Migration, batch: Batch, vectors: np.ndarray, size: WriteSize) -> int:
    result = write_batch(migration, batch.keys, batch.texts, vectors)
    size.record(len(batch.keys), result.seconds)
    return result.landed
