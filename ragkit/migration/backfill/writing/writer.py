"""The guarded write: a vector lands only beside the text it was made from.

The rows of a write are one statement that is its own transaction: they are locked for as long as it
takes, and no longer.
"""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.arrays import encode_vectors
from ragkit.database.wire.round_trip import ask
from ragkit.errors import BrokenConstraint, DatabaseError, LostRace
from ragkit.migration.backfill.writing.write_size import WriteSize
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema.writing import write_sql
from ragkit.migration.work import queue
from ragkit.migration.work.rows import Row
from ragkit.retrieval.guarded_write import SETTINGS, encode_texts
from ragkit.retry import lost_race, retry_database

_VECTOR = "select 'vector'::regtype::oid::bigint"
MOST_BROKEN = 100
"""Rows that break a constraint before any row is written: it is not these rows that are wrong."""
log = logging.getLogger(__name__)


class Writer:
    """Writes vectors of one migration, each time as many as the target duration allows: see
    `size`."""

    at_once = 1
    """Writes that may run together: two would meet on the same pages, and fewer updates be HOT."""

    def __init__(self, migration: Migration, also: str = ""):
        """`also`: a further part of each write's statement, for what must be true with it."""
        self._migration, self._sql = migration, write_sql(migration, also)
        self._settings: Mapping[str, str] = SETTINGS
        self._round_trip, self._vector_oid = 0.0, 0
        self._free: list[sa.Connection] = []
        self._keeps = False
        self._landed = self._broken = 0
        self.size = WriteSize()

    def write(self, rows: Sequence[Row], vectors: np.ndarray) -> int:
        """How many vectors of shape (len(rows), dimension) landed.

        The other rows were deleted, edited or filled since they were read, or somebody else has
        locked them: their keys are in the queue. A row that no UPDATE works on is a dead letter.
        Raises DatabaseError.
        """
        try:
            landed: int = lost_race()(retry_database, self._write, rows, vectors)
            self._landed += landed
            return landed
        except LostRace as error:
            log.warning("%d rows come later: %s", len(rows), error)
            retry_database(queue.put_back, self._migration, [row.key for row in rows])
            return 0
        except BrokenConstraint as error:
            if (half := len(rows) // 2) == 0:
                self._set_aside(rows[0], error)
                return 0
            return self.write(rows[:half], vectors[:half]) + self.write(rows[half:], vectors[half:])

    def _set_aside(self, row: Row, error: BrokenConstraint) -> None:
        if self._broken == MOST_BROKEN and not self._landed:
            raise DatabaseError(f"{error}: so do the first {MOST_BROKEN} rows, none was written")
        self._broken += 1
        reason = f"no UPDATE of this row works: {error}; mend it, then: ragkit backfill --retry"
        retry_database(dead_letters.add, self._migration, {row.key: (row.text, reason)})

    def __enter__(self) -> Self:
        """Keeps its connections until the end of the block: the pool would ask the server before
        each write whether they still work, which takes as long as a small write."""
        self._keeps = True
        return self

    def __exit__(self, *_: object) -> None:
        self._keeps = False
        while self._free:
            self._free.pop().close()

    def _write(self, rows: Sequence[Row], vectors: np.ndarray) -> int:
        with translate_errors("writing vectors"), self._connection() as connection:
            landed, seconds = self.send(connection, rows, vectors)
        self.size.record(len(rows), seconds)
        return landed

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        if self._free:
            connection = self._free.pop()
        else:
            connection = self._migration.engine.connect()
            connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        if self._keeps:
            self._free.append(connection)
        else:
            connection.close()

    def send(
        self, connection: sa.Connection, rows: Sequence[Row], vectors: np.ndarray
    ) -> tuple[int, float]:
        """The vectors that landed, and for how long (s) rows were locked: a slow network is no
        reason to write fewer."""
        if not self._vector_oid:
            self._vector_oid, self._round_trip = _measure(connection)
        by_key = {row.key: position for position, row in enumerate(rows)}
        once = [rows[position] for position in by_key.values()]
        keys = encode_texts([row.key for row in once])
        data = encode_vectors(self._vector_oid, vectors[list(by_key.values())])
        values = [keys, self._made_from(once), data]
        start = time.monotonic()
        [[landed, is_kept]] = ask(connection, self._sql, values, self._settings)
        seconds = max(time.monotonic() - start - self._round_trip, 0.0)
        if not is_kept:
            raise DatabaseError(
                f"a trigger of the table removes the vectors of {self._migration.plan.new.column}; "
                "change it so that it leaves them"
            )
        return int(landed), seconds

    def _made_from(self, rows: Sequence[Row]) -> bytes:
        """What each vector was made from."""
        return encode_texts([row.text for row in rows])


def _measure(connection: sa.Connection) -> tuple[int, float]:
    """The type of a vector, and a round trip (s)."""
    ask(connection, _VECTOR, [], {})
    start = time.monotonic()
    [[oid]] = ask(connection, _VECTOR, [], {})
    return int(oid), time.monotonic() - start
