"""Backfill: embed what is pending and write it, batch by batch, while the app serves.

Keyset pagination over pending rows; the next batches are embedded while this one is written.
No model is called inside a transaction. Killed at any point and run again, it goes on with the
rows that have no vector yet: the table itself is the resume point.
"""

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit import contract
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import DatabaseError, SpaceMismatch
from ragkit.migration import coverage, ledger
from ragkit.migration.subject import Migration
from ragkit.migration.writer import Verbatim, write

AHEAD = 2
"""Batches that wait for the model while one is written."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Batch:
    keys: list[str]
    texts: list[str]


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
    done, total, began = start.filled, start.filled + start.pending, time.monotonic()
    log.info("backfill starts from %d of %d", done, total)
    yield Progress(done, total, 0.0, 0.0)
    own = None if executor else ThreadPoolExecutor(1, "embed")
    try:
        while not (finished := _finish(migration)):
            for batch, vectors in _embedded(migration, embedder, executor or own):
                done += _write(migration, batch, vectors)
                seconds = time.monotonic() - began
                yield Progress(done, max(total, done), (done - start.filled) / seconds, seconds)
    finally:
        if own:
            own.shutdown(cancel_futures=True)
    if finished.filled != done or done > total:
        log.info("others wrote meanwhile: %d rows have vectors", finished.filled)
        yield Progress(finished.filled, finished.filled, 0.0, time.monotonic() - began)


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


def _embedded(
    migration: Migration, embedder: Embedder, executor: Executor
) -> Iterator[tuple[Batch, np.ndarray]]:
    waiting: deque[tuple[Batch, Future]] = deque()
    for batch in _batches(migration):
        waiting.append((batch, executor.submit(embedder.embed_documents, batch.texts)))
        if len(waiting) > AHEAD:
            first, future = waiting.popleft()
            yield first, future.result()
    for batch, future in waiting:
        yield batch, future.result()


def _batches(migration: Migration) -> Iterator[Batch]:
    """Pending rows in the order of the key; each batch is its own short transaction."""
    as_text = sa.cast(migration.key, sa.Text)
    after = None
    while True:
        query = (
            sa.select(as_text, migration.content)
            .select_from(migration.table)
            .where(coverage.is_pending(migration))
            .order_by(migration.key)
            .limit(migration.plan.batch_size)
        )
        if after is not None:
            query = query.where(migration.key > sa.cast(after, Verbatim(migration.key_type)))
        with plain_errors("reading pending rows"), migration.engine.connect() as connection:
            rows: Sequence[sa.Row] = connection.execute(query).all()
        if not rows:
            return
        after = rows[-1][0]
        yield Batch([row[0] for row in rows], [row[1] for row in rows])


def _write(migration: Migration, batch: Batch, vectors: np.ndarray) -> int:
    with plain_errors("writing vectors"), migration.engine.begin() as connection:
        return write(connection, migration, batch.keys, batch.texts, vectors)


def _finish(migration: Migration) -> coverage.Coverage | None:
    """Marks the column ready when nothing is pending, in the same transaction; else None."""
    plan = migration.plan
    with plain_errors("finishing the backfill"), migration.engine.begin() as connection:
        now = coverage.count(connection, migration)
        if now.pending:
            return None
        contract.set_state(connection, plan.qualified, plan.new_column, contract.READY)
        if ledger.phase(connection, migration.id) == ledger.EXPANDED:
            migration.record(connection, ledger.BACKFILLED, rows=now.filled, empty=now.empty)
    return now
