"""Backfill: embed what is pending and write it, batch by batch, while the app serves.

Keyset pagination over pending rows; the next batches are embedded while this one is written.
No model is called inside a transaction. Killed at any point and run again, it goes on with the
rows that have no vector yet: the table itself is the resume point. Several can run at once and
share the work.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from ragkit import contract
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import DatabaseError, ModelBusy, SpaceMismatch
from ragkit.migration import aside, coverage, ledger
from ragkit.migration.asking import Answers, ask
from ragkit.migration.batches import Batch, batches
from ragkit.migration.claims import claiming
from ragkit.migration.completion import Pass, begin_snapshot, finish
from ragkit.migration.pace import WriteSize
from ragkit.migration.patience import patiently
from ragkit.migration.spending import metered
from ragkit.migration.subject import Migration
from ragkit.migration.throttle import throttle_for
from ragkit.migration.writer import write

AHEAD = 1
"""Batches with the model while one is written; `batches` counts on it."""
WAIT_SECONDS = 0.5
"""For what others have claimed and not yet written."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Progress:
    """Rows done of all that can have a vector; speed over this run, in rows a second."""

    done: int
    total: int
    rate: float
    seconds: float

    @property
    def eta_seconds(self) -> float:
        return (self.total - self.done) / self.rate if self.rate else float("inf")


def fill(
    migration: Migration, embedder: Embedder, executor: Executor | None = None
) -> Iterator[Progress]:
    """Fills the new column and at the end, when the database says so, marks it ready.

    The first Progress tells where it starts. `executor` runs the model (default: one thread).
    Raises SpaceMismatch (the embedder makes another space than the contract binds), ModelError or
    DatabaseError; what was written stays, and the next run goes on from there.
    """
    _check_space(migration, embedder)
    with plain_errors("backfill"), migration.engine.connect() as connection:
        start = coverage.count(connection, migration)
        stripes = ledger.stripes(connection, migration.id)
    done, total, began = start.filled, start.filled + start.pending, time.monotonic()
    log.info("backfill starts from %d of %d", done, total)
    yield Progress(done, total, 0.0, 0.0)
    own = None if executor else ThreadPoolExecutor(1, "embed")
    size = WriteSize(migration.plan.batch_size)
    throttle = throttle_for(migration) if start.pending else None
    try:
        last = None
        while not (finished := patiently(finish, migration, last)).complete:
            since = patiently(begin_snapshot, migration)
            idle, last = True, Pass(finished.coverage.pending, since)
            with claiming(migration, stripes) as claimed, metered(migration, embedder):
                pending = batches(migration, claimed, stripes)
                for batch, answers in _answered(migration, embedder, executor or own, pending):
                    idle = False
                    patiently(aside.put, migration, _refused(batch, answers))
                    for part in _parts(batch, answers, size):
                        done += patiently(_write, migration, part, size)
                        if throttle:
                            throttle.breathe()
                        took = time.monotonic() - began
                        yield Progress(done, max(total, done), (done - start.filled) / took, took)
            if idle:
                time.sleep(WAIT_SECONDS)
    finally:
        if own:
            own.shutdown(wait=False, cancel_futures=True)  # a model that hangs is not waited for
    now = finished.coverage
    if now.filled != done or done > total:
        log.info("others wrote meanwhile: %d rows have vectors", now.filled)
        yield Progress(now.filled, now.filled + now.pending, 0.0, time.monotonic() - began)


def _check_space(migration: Migration, embedder: Embedder) -> None:
    """Fails closed: a column takes vectors only of the space that the contract binds it to."""
    with plain_errors("backfill"), migration.engine.connect() as connection:
        held = {b.column: b for b in contract.bindings(connection, migration.plan.qualified)}
    bound = held.get(migration.plan.new_column)
    if bound is None:
        raise DatabaseError(f"no contract for {migration.plan.new_column!r}: run expand first")
    made = contract.Space.of(embedder.model, migration.plan.content)
    if bound.space != made:
        raise SpaceMismatch(
            f"column {bound.column!r} is bound to {bound.space.model} "
            f"({bound.space.fingerprint}), the embedder makes {made.model} ({made.fingerprint})"
        )


def _answered(
    migration: Migration, embedder: Embedder, executor: Executor, pending: Iterator[Batch]
) -> Iterator[tuple[Batch, Answers]]:
    """Each batch with the model's answers, some batches ahead of the writer."""
    seconds = migration.plan.model_seconds
    waiting: deque[tuple[Batch, Future]] = deque()
    for batch in pending:
        waiting.append((batch, executor.submit(ask, embedder, batch.texts, seconds)))
        if len(waiting) > AHEAD:
            yield _first(waiting, seconds)
    while waiting:
        yield _first(waiting, seconds)


def _first(waiting: deque[tuple[Batch, Future]], seconds: float) -> tuple[Batch, Answers]:
    """Raises ModelBusy when nothing comes, in twice the time that a busy model is asked again."""
    batch, future = waiting.popleft()
    try:
        return batch, future.result(timeout=2 * seconds)
    except TimeoutError:
        raise ModelBusy(
            f"the model did not answer in {2 * seconds:g} s: run this again, or set model_seconds"
        ) from None


def _refused(batch: Batch, answers: Answers) -> dict[str, tuple[str, str]]:
    return {batch.keys[i]: (batch.texts[i], reason) for i, reason in answers.refused.items()}


def _parts(batch: Batch, answers: Answers, size: WriteSize) -> Iterator[tuple[Batch, np.ndarray]]:
    """What was answered, cut to the size that the last write left."""
    places = sorted(answers.vectors)
    while places:
        taken, places = places[: size.rows], places[size.rows :]
        part = Batch([batch.keys[i] for i in taken], [batch.texts[i] for i in taken])
        yield part, np.stack([answers.vectors[i] for i in taken])


def _write(migration: Migration, part: tuple[Batch, np.ndarray], size: WriteSize) -> int:
    batch, vectors = part
    with plain_errors("writing vectors"), migration.engine.begin() as connection:
        landed, seconds = write(connection, migration, batch.keys, batch.texts, vectors)
    size.took(len(batch.keys), seconds)
    return landed
