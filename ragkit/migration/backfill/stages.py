"""Stages: a thread reads, several wait for the model, and one or two write; nothing waits for
another stage, and what is held in memory is bounded.

No model is called inside a transaction. Identical texts are embedded once.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, Self

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelBusy, ModelError, Stopped
from ragkit.migration.backfill.model_calls.embed import EmbeddingResult, embed_texts
from ragkit.migration.backfill.model_calls.in_flight import InFlight, ObservedEmbedder
from ragkit.migration.backfill.model_calls.vector_cache import VectorCache
from ragkit.migration.backfill.reading.batches import Batch, Portion, RequestLimits
from ragkit.migration.backfill.reading.prefetch import Prefetch
from ragkit.migration.backfill.throttle import Throttle
from ragkit.migration.backfill.writing.side_writer import open_writer
from ragkit.migration.control.settings import MAX_IN_FLIGHT
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.work.rows import Row
from ragkit.retry import retry_database

AHEAD = 2
"""So many times the requests in flight are ready, so that no slot waits for this thread. A kill
costs those in flight."""
MODEL_ATTEMPTS = 2
"""No request takes longer with the model than backfill.model_seconds times this."""
MAX_ROWS = 5_000
"""That are read and not yet written."""
TICK_SECONDS, READ_SECONDS = 1.0, 0.05
"""How long an answer is waited for: until progress is told, or until more may have been read."""

_Claimed = tuple[Row, Portion]


class Pipeline:
    """Embeds and writes batches with one model. `reused` counts the rows whose text had been
    embedded for another row."""

    def __init__(
        self,
        migration: Migration,
        model: Embedder,
        in_flight: InFlight,
        throttle: Throttle,
    ):
        self._migration, self._in_flight = migration, in_flight
        self._model, self.model = ObservedEmbedder(model, in_flight), model.model
        self._limits = RequestLimits.of(model.model, migration.plan.backfill.batch_size)
        self._seconds = migration.plan.backfill.model_seconds
        self._embed_in = ThreadPoolExecutor(MAX_IN_FLIGHT, "embed")
        self._writer, self._cache = open_writer(migration), VectorCache()
        self._request: list[str] = []
        self._request_bytes = self._rows = 0
        self._claimed: dict[str, list[_Claimed]] = {}
        self._futures: dict[Future[EmbeddingResult], list[str]] = {}
        self._embedded: list[tuple[Row, Portion, np.ndarray]] = []
        self._throttle = throttle
        self._write_in = ThreadPoolExecutor(self._writer.at_once, "write")
        self._writes: dict[Future[int], Sequence[Portion]] = {}
        self._answered_at = time.monotonic()
        self.reused = 0

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._write_in.shutdown(wait=False, cancel_futures=True)  # a database may hang, as a model
        self._writer.__exit__()
        self._in_flight.close()
        self._embed_in.shutdown(wait=False, cancel_futures=True)

    def run(
        self, batches: Iterator[Batch], check: Callable[[], None] = lambda: None
    ) -> Iterator[int]:
        """The number of rows that landed, after each write; 0 when there was none for a second.

        Raises ModelError, or Stopped by `check`, when all that had been answered is written, or
        DatabaseError.
        """
        source = Prefetch(batches, ahead=self._in_flight.limit)
        self._answered_at = time.monotonic()
        try:
            while True:
                check()
                self._collect()
                self._fill(source)
                self._start_writes()
                if self._writes or self._futures:
                    yield from self._await(READ_SECONDS if self._has_room(source) else TICK_SECONDS)
                elif source.ended and not self._request:
                    return
                elif batch := source.next(TICK_SECONDS):
                    self._add(batch)
        except (ModelError, Stopped):
            self._in_flight.close()
            yield from self._write_answered()
            raise
        finally:
            source.close()

    def _has_room(self, source: Prefetch[Batch]) -> bool:
        is_full = len(self._futures) >= AHEAD * self._in_flight.allowed or self._rows > MAX_ROWS
        return not is_full and not source.ended

    def _fill(self, source: Prefetch[Batch]) -> None:
        while self._has_room(source) and (batch := source.next(0.0)):
            self._add(batch)
        if source.ended and self._request:
            self._submit()

    def _add(self, batch: Batch) -> None:
        batch.portion.settle(batch.gone)
        self._rows += len(batch.rows)
        for row in batch.rows:
            if row.text in self._claimed:
                self._claimed[row.text].append((row, batch.portion))
            elif (vector := self._cache.get(row.text)) is not None:
                self._embedded.append((row, batch.portion, vector))
                self.reused += 1
            else:
                self._ask(row, batch.portion)

    def _ask(self, row: Row, portion: Portion) -> None:
        size = len(row.text.encode())
        if self._request and self._request_bytes + size > self._limits.bytes:
            self._submit()
        self._request.append(row.text)
        self._request_bytes += size
        self._claimed[row.text] = [(row, portion)]
        if len(self._request) >= self._limits.texts:
            self._submit()

    def _submit(self) -> None:
        texts, self._request, self._request_bytes = self._request, [], 0
        self._futures[self._embed_in.submit(self._embed, texts)] = texts

    def _embed(self, texts: list[str]) -> EmbeddingResult:
        with self._in_flight.slot():
            return embed_texts(self._model, texts, self._seconds, self._in_flight.slept)

    def _await(self, seconds: float) -> Iterator[int]:
        waited: list[Future[Any]] = [*self._futures, *self._writes]
        done = wait(waited, seconds, FIRST_COMPLETED).done
        for write in done & self._writes.keys():
            landed = write.result()
            self._settle(self._writes.pop(write))
            yield landed
        if done or not self._futures:
            return
        limit = MODEL_ATTEMPTS * self._seconds
        if self._in_flight.waits:
            self._answered_at = time.monotonic()
        elif time.monotonic() - self._answered_at > limit:
            raise ModelBusy(
                f"the model did not answer in {limit:g} s: run this again, or raise "
                "backfill.model_seconds"
            )
        if seconds >= TICK_SECONDS:
            yield 0

    def _collect(self) -> None:
        """What the model has answered. Raises ModelError."""
        for future in [future for future in self._futures if future.done()]:
            texts = self._futures.pop(future)
            self._answered_at = time.monotonic()
            self._take(texts, future.result())

    def _take(self, texts: list[str], result: EmbeddingResult) -> None:
        refused: list[_Claimed] = []
        reasons: dict[str, tuple[str, str]] = {}
        for position, text in enumerate(texts):
            claimed = self._claimed.pop(text)
            if (vector := result.vectors.get(position)) is not None:
                self._cache.put(text, vector)
                self._embedded += [(row, portion, vector) for row, portion in claimed]
                self.reused += len(claimed) - 1
            else:
                refused += claimed
                reasons |= {row.key: (text, result.refused[position]) for row, _ in claimed}
        retry_database(dead_letters.add, self._migration, reasons)
        self._settle([portion for _, portion in refused])

    def _start_writes(self) -> None:
        while self._embedded and len(self._writes) <= self._writer.at_once:
            size = self._writer.size.rows
            part, self._embedded = self._embedded[:size], self._embedded[size:]
            rows, portions, vectors = zip(*part, strict=True)
            write = self._write_in.submit(self._write, rows, np.stack(vectors))
            self._writes[write] = portions

    def _settle(self, portions: Sequence[Portion]) -> None:
        self._rows -= len(portions)
        for portion in portions:
            portion.settle(1)

    def _write(self, rows: Sequence[Row], vectors: np.ndarray) -> int:
        landed = self._writer.write(rows, vectors)
        self._throttle.wait_if_slow()
        return landed

    def _write_answered(self) -> Iterator[int]:
        """What was paid for is kept, as far as it is answered soon."""
        wait(self._futures, self._seconds)
        for future in [f for f in self._futures if f.done() and not f.exception()]:
            self._take(self._futures.pop(future), future.result())
        while self._embedded or self._writes:
            self._start_writes()
            yield from self._await(TICK_SECONDS)
