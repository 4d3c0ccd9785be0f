"""Old vectors of new and edited rows, by the bridge of a rescue.

The bridge maps the new model's questions into the old space; it does so for rows too. Their new
vectors are in the database, so that nothing is embedded, and nothing paid. A rescued search finds
what is written; each vector is marked, because it is not the old model's.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from time import monotonic

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.errors import BadVectors, DamagedContract
from ragkit.migration import phases
from ragkit.migration.backfill.reading.batches import (
    Batch,
    RequestLimits,
    queue_batches,
    sweep_batches,
)
from ragkit.migration.backfill.writing.side_writer import open_writer
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.progress.completion import start_pass
from ragkit.migration.rescue.way_back import WayBack, find_way
from ragkit.migration.schema.expansion import keep_old_column_current
from ragkit.migration.work import queue, sweep
from ragkit.migration.work.rows import Row
from ragkit.migration.work.workers import working
from ragkit.retry import retry_database

NO_BRIDGE = "no bridge leads into the old column"
LIMITS = RequestLimits(128, 2**20)
"""Rows, and bytes of their texts, that are read at once."""
PASS_SECONDS = 5.0
"""Then a pass ends: rows that wait for their new vector come round again and again."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Approximation:
    """What a pass did: `written` rows have an old vector by the bridge now. `waiting` ones come
    later: they have no new vector yet, were locked, or were changed meanwhile. `refused` says why
    there was no pass, else ""."""

    written: int = 0
    waiting: int = 0
    refused: str = ""


class Backwards:
    """Of one migration, whose old model is gone."""

    def __init__(self, migration: Migration):
        self._migration, self._back = migration, migration.reversed()
        self._way: WayBack | None = None
        self._is_watched = False

    def approximate(self) -> Approximation:
        """Rows that have a text, a new vector and no old one get `bridge.to_old` of the new one, as
        long as most old vectors are. An old vector that is there stays as it is.

        The first pass adds the triggers by which an edited text clears its old vector. Once the new
        column was filled, the table is walked; otherwise only the queue is read. Safe to repeat,
        and beside others. Raises DatabaseError; what was written stays.
        """
        try:
            self._way = way = retry_database(find_way, self._migration, self._way)
        except DamagedContract as error:
            return Approximation(refused=str(error))
        if way is None:
            return Approximation(refused=NO_BRIDGE)
        if not self._is_watched:
            keep_old_column_current(self._migration, "the rescue")
            self._is_watched = True
        done, end = Approximation(), monotonic() + PASS_SECONDS
        with (
            working(self._back.engine, "ragkit follow") as worker,
            open_writer(self._back, way.mark) as writer,
        ):
            for batch in self._batches(worker):
                done = self._fill(way, writer, batch, done)
                if monotonic() > end and not batch.portion.open:
                    break
        if done.written:
            log.info(
                "the old column is kept by the bridge %s, not by the old model: %d rows",
                way, done.written,
            )  # fmt: skip
        return done

    def _batches(self, worker: str) -> Iterator[Batch]:
        back = self._back
        before = retry_database(start_pass, back).before
        if self._migration.phase() != phases.EXPANDED:
            retry_database(sweep.begin, back)
            yield from sweep_batches(back, worker, LIMITS)
        yield from queue_batches(back, worker, before, LIMITS)

    def _fill(
        self, way: WayBack, writer: Writer, batch: Batch, done: Approximation
    ) -> Approximation:
        rows, vectors = list[Row](), list[np.ndarray]()
        refused, waiting = dict[str, tuple[str, str]](), list[str]()
        for row, vector, is_refused in retry_database(self._read, [r.key for r in batch.rows]):
            if vector is None:
                waiting += [] if is_refused else [row.key]
                continue
            try:
                vectors.append(way.to_old(vector))
                rows.append(row)
            except BadVectors:
                refused[row.key] = row.text, "its new vector is 0 for the bridge"
        written = _write(writer, rows, vectors)
        retry_database(dead_letters.add, self._back, refused)
        if waiting:
            retry_database(queue.put_back, self._back, waiting)
        batch.portion.settle(len(batch.rows) + batch.gone)
        waits = len(waiting) + len(rows) - written
        return replace(done, written=done.written + written, waiting=done.waiting + waits)

    def _read(self, keys: Sequence[str]) -> list[tuple[Row, np.ndarray | None, bool]]:
        """Rows with their texts, the new vectors of these, and whether the new model refused
        them."""
        migration = self._migration
        query = migration.select(
            migration.key_text, migration.content, migration.new_vector,
            dead_letters.is_dead_letter(migration),
        ).where(migration.has_key(keys))  # fmt: skip
        with translate_errors("reading new vectors"), migration.engine.connect() as connection:
            return [
                (Row(key, text), None if vector is None else as_array([vector])[0], is_refused)
                for key, text, vector, is_refused in connection.execute(query)
            ]


def _write(writer: Writer, rows: Sequence[Row], vectors: Sequence[np.ndarray]) -> int:
    written = start = 0
    while start < len(rows):
        end = start + writer.size.rows
        written += writer.write(rows[start:end], np.stack(vectors[start:end]))
        start = end
    return written
