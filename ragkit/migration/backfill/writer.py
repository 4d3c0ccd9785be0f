"""The guarded write: a vector lands only beside the text it was made from.

The vectors are copied in binary into the view of `ragkit.migration.schema.write_view`, by one
statement that is its own transaction: rows are locked for as long as it takes, and no longer.
Format: PostgreSQL manual, "COPY", Binary Format; vector as pgvector's vector_recv reads it.
"""

import logging
import struct
import time
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from ragkit.database.copying import copy_from
from ragkit.database.translate import translate_errors
from ragkit.errors import LostRace
from ragkit.migration.backfill.write_size import WriteSize
from ragkit.migration.migration import Migration
from ragkit.migration.schema.write_view import copy_sql
from ragkit.migration.work import queue
from ragkit.migration.work.rows import Row
from ragkit.retry import lost_race, retry_database

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)
ROUND_TRIPS = 2
"""Of a COPY: the server answers its statement, then its data."""
log = logging.getLogger(__name__)


class Writer:
    """Writes vectors of one migration, each time as many as the target duration allows: see
    `size`."""

    def __init__(self, migration: Migration):
        self._migration, self._copy = migration, copy_sql(migration)
        self._round_trip = 0.0
        self.size = WriteSize()

    def write(self, rows: Sequence[Row], vectors: np.ndarray) -> int:
        """How many vectors of shape (len(rows), dimension) landed.

        The other rows were deleted, edited or filled since they were read, or somebody else has
        locked them: their keys are in the queue. Raises DatabaseError.
        """
        try:
            landed: int = lost_race()(retry_database, self._write, rows, vectors)
            return landed
        except LostRace as error:
            log.warning("%d rows come later: %s", len(rows), error)
            retry_database(queue.put_back, self._migration, [row.key for row in rows])
            return 0

    def _write(self, rows: Sequence[Row], vectors: np.ndarray) -> int:
        engine = self._migration.engine
        with translate_errors("writing vectors"), engine.connect() as connection:
            if not self._round_trip:
                self._round_trip = _measure_round_trip(connection)
            connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
            landed, seconds = self.copy(connection, rows, vectors)
        self.size.record(len(rows), seconds)
        return landed

    def copy(
        self, connection: sa.Connection, rows: Sequence[Row], vectors: np.ndarray
    ) -> tuple[int, float]:
        """The vectors that landed, and for how long (s) rows were locked: a slow network is no
        reason to write fewer."""
        data = encode([(row.key.encode(), row.text.encode()) for row in rows], vectors)
        start = time.monotonic()
        missed = copy_from(connection, self._copy, data)
        return len(rows) - missed, self._seconds_since(start)

    def _seconds_since(self, start: float) -> float:
        """Without the way of a COPY to the server and back."""
        return max(time.monotonic() - start - ROUND_TRIPS * self._round_trip, 0.0)


def _measure_round_trip(connection: sa.Connection) -> float:
    """In s."""
    connection.exec_driver_sql("select 1")
    start = time.monotonic()
    connection.exec_driver_sql("select 1")
    return time.monotonic() - start


def encode(
    fields: Sequence[Sequence[bytes]], vectors: np.ndarray, *, as_half: bool = False
) -> bytes:
    """The COPY stream of rows of so many fields, each in its binary form, and then a vector."""
    dimension, kind = vectors.shape[1], ">f2" if as_half else ">f4"
    bodies = vectors.astype(kind)
    vector_header = struct.pack("!ihh", 4 + bodies.itemsize * dimension, dimension, 0)
    parts = [_HEADER]
    for values, body in zip(fields, bodies, strict=True):
        parts.append(struct.pack("!h", len(values) + 1))
        for value in values:
            parts += (struct.pack("!i", len(value)), value)
        parts += (vector_header, body.tobytes())
    return b"".join((*parts, _TRAILER))
