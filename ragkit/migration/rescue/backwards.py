"""The way back of a rescued service: old vectors of new and edited rows, by the bridge.

The bridge maps the new model's vectors into the old space for questions; it does so for rows too.
Their new vectors are in the database, so that nothing is embedded, and nothing paid. What is
written is found again by a rescued search, and marked: it is not the old model's.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from time import monotonic

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array, text_array
from ragkit.errors import BadVectors, DamagedContract
from ragkit.migration import phases
from ragkit.migration.backfill.batches import Batch, RequestLimits, queue_batches, sweep_batches
from ragkit.migration.backfill.side_writer import open_writer
from ragkit.migration.backfill.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.progress.completion import start_pass
from ragkit.migration.rescue.approximated import mark_sql, open_event
from ragkit.migration.schema.expansion import keep_old_column_current
from ragkit.migration.work import queue, sweep
from ragkit.migration.work.rows import Row
from ragkit.migration.work.workers import working
from ragkit.retrieval.rescue.candidates.bridge import Bridge
from ragkit.retrieval.rescue.plan import RescuePlan, read_bridge, read_plan
from ragkit.retry import retry_database

NO_BRIDGE = "no bridge leads into the old column"
LIMITS = RequestLimits(128, 2**20)
"""Rows, and bytes of their texts, that are read at once."""
PASS_SECONDS = 5.0
"""Of the queue's part of a pass: its keys may come faster than new vectors do."""
LENGTHS = 200
"""Old vectors whose lengths are looked at."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Approximation:
    """What a pass did: `written` rows have an old vector by the bridge now, `waiting` ones still
    need their new vector. `refused` says why there is no pass, else ""."""

    written: int = 0
    waiting: int = 0
    refused: str = ""


@dataclass(frozen=True)
class _Way:
    """A bridge that was verified, the length of the vectors that it makes, and how they are
    marked."""

    checksum: str
    bridge: Bridge
    length: float
    mark: str

    def to_old(self, vector: np.ndarray) -> np.ndarray:
        """Raises BadVectors."""
        return self.bridge.to_old(vector) * np.float32(self.length)


class Backwards:
    """Of one migration. Its bridge is read once: it has some megabytes."""

    def __init__(self, migration: Migration):
        self._migration, self._back = migration, migration.reversed()
        self._way: _Way | None = None

    def approximate(self) -> Approximation:
        """Rows that have a text, a new vector and no old one get `bridge.to_old` of the new one, as
        long as most old vectors are. An old vector that is there stays as it is.

        The first pass adds the triggers by which an edited text clears its old vector, and, once
        the new column was filled, walks the table; each further one reads the queue only. Safe to
        repeat, and beside others. Raises DatabaseError; what was written stays.
        """
        try:
            way = retry_database(self._find_way)
        except DamagedContract as error:
            return Approximation(refused=str(error))
        if way is None:
            return Approximation(refused=NO_BRIDGE)
        back, done = self._back, Approximation()
        with (
            working(back.engine, "ragkit follow") as worker,
            open_writer(back, way.mark) as writer,
        ):
            last = retry_database(start_pass, back)
            batches = queue_batches(back, worker, last.before, LIMITS)
            if self._migration.phase() != phases.EXPANDED:
                retry_database(sweep.begin, back)
                batches = chain(sweep_batches(back, worker, LIMITS), batches)
            end = monotonic() + PASS_SECONDS
            for batch in batches:
                done = self._fill(way, writer, batch, done)
                if monotonic() > end and not batch.portion.open:
                    break
        if done.written:
            log.info(
                "the old column is kept by the bridge %s (%.12s), not by the old model: %d rows",
                way.bridge.method, way.checksum, done.written,
            )  # fmt: skip
        return done

    def _find_way(self) -> _Way | None:
        """None where the contract has no bridge into the old column. Raises DamagedContract."""
        migration = self._migration
        with translate_errors("reading the bridge"), migration.engine.connect() as connection:
            plan = read_plan(connection, migration.new)
            if plan is None or not plan.bridge or plan.old_column != migration.plan.old.column:
                return None
            if self._way and self._way.checksum == plan.bridge:
                return self._way
            bridge = read_bridge(connection, migration.new, plan)
        shape = migration.new.space.dimension, migration.old.space.dimension
        if bridge.matrix.shape != shape:
            raise DamagedContract(
                f"the bridge has shape {bridge.matrix.shape}, the columns {shape}: run the rescue "
                "again"
            )
        keep_old_column_current(migration, "the rescue")
        self._way = self._open_way(plan, bridge)
        return self._way

    def _open_way(self, plan: RescuePlan, bridge: Bridge) -> _Way:
        migration = self._migration
        with translate_errors("opening the way back"), migration.engine.begin() as connection:
            event = open_event(connection, migration, plan, bridge.method)
            mark = mark_sql(connection, self._back, event)
            return _Way(plan.bridge, bridge, _usual_length(connection, migration), mark)

    def _fill(self, way: _Way, writer: Writer, batch: Batch, done: Approximation) -> Approximation:
        rows, vectors = list[Row](), list[np.ndarray]()
        refused, waiting = dict[str, tuple[str, str]](), list[str]()
        for row, vector, is_refused in retry_database(self._read, [r.key for r in batch.rows]):
            if vector is None and not is_refused:
                waiting.append(row.key)
            elif vector is not None:
                try:
                    vectors.append(way.to_old(vector))
                    rows.append(row)
                except BadVectors:
                    refused[row.key] = row.text, "its new vector is 0 for the bridge"
        written, start = 0, 0
        while start < len(rows):
            end = start + writer.size.rows
            written += writer.write(rows[start:end], np.stack(vectors[start:end]))
            start = end
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
        ).where(migration.key == sa.any_(text_array(keys, migration.key_type)))  # fmt: skip
        with translate_errors("reading new vectors"), migration.engine.connect() as connection:
            return [
                (Row(key, text), None if vector is None else as_array([vector])[0], is_refused)
                for key, text, vector, is_refused in connection.execute(query)
            ]


def _usual_length(connection: sa.Connection, migration: Migration) -> float:
    """The median of old vectors, 1 where there are none. A bridge maps directions: where the
    distance is not cosine, an approximated row is that of a usual length."""
    old = migration.old_vector
    some = connection.scalars(migration.select(old).where(old.is_not(None)).limit(LENGTHS)).all()
    length = float(np.median(np.linalg.norm(as_array(some), axis=1))) if some else 0.0
    return length or 1.0
