"""The guarded write: a vector lands only beside the text it was made from.

The vectors of a batch go into a temporary table by binary COPY, then into the table by one UPDATE
that compares the text again. Format: PostgreSQL manual, "COPY", Binary Format; vector as
pgvector's vector_recv reads it.
"""

import struct
import time
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.types import CatalogType
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)
ROUND_TRIPS = 2
"""Of pg8000 for a statement with values: it is parsed first, then executed."""
_COPY = "copy pg_temp.ragkit_stage from stdin with (format binary)"


class WriteResult(NamedTuple):
    """The number of vectors that landed, and how long (s) the server worked on locked rows: a slow
    network is no reason to write fewer."""

    landed: int
    seconds: float


def write_vectors(
    connection: sa.Connection,
    migration: Migration,
    keys: Sequence[str],
    texts: Sequence[str],
    vectors: np.ndarray,
) -> WriteResult:
    """Writes vectors of shape (len(keys), dimension), in the connection's transaction.

    `keys` are in their text form. A row that was deleted, edited or filled since its text was read
    is skipped. Raises DatabaseError when a trigger of the table removes every vector again.
    """
    dimension, start = migration.new.space.dimension, time.monotonic()
    connection.exec_driver_sql(
        "create temporary table if not exists ragkit_stage "
        f"(key text, content text, vector vector({dimension})) on commit delete rows"
    )
    round_trip = time.monotonic() - start
    cursor = connection.connection.cursor()
    cursor.execute(_COPY, stream=BytesIO(_encode(keys, texts, vectors)))  # type: ignore[call-arg]  # pg8000
    stage = sa.table(
        "ragkit_stage",
        sa.column("key"), sa.column("content"), sa.column("vector", VECTOR(dimension)),
        schema="pg_temp",
    )  # fmt: skip
    update = (
        sa.update(migration.table)
        .values({migration.plan.new.column: stage.c.vector})
        .where(
            migration.key == sa.cast(stage.c.key, CatalogType(migration.key_type)),
            migration.content == stage.c.content,
            migration.new_vector.is_(None),
        )
        .returning(migration.new_vector.is_not(None))  # as the table's triggers left it
    )
    start = time.monotonic()
    landed = list(connection.execute(update).scalars())
    seconds = time.monotonic() - start - ROUND_TRIPS * round_trip
    if landed and not any(landed):
        raise DatabaseError(
            f"vectors were written to {migration.plan.new.column!r} and are gone: a trigger of "
            "the table removes them; change it so that it leaves this column"
        )
    return WriteResult(sum(landed), max(seconds, 0.0))


def _encode(keys: Sequence[str], texts: Sequence[str], vectors: np.ndarray) -> bytes:
    """The COPY stream of rows (key, content, vector)."""
    dimension = vectors.shape[1]
    size = 4 + 4 * dimension
    vector_header = struct.pack("!ihh", size, dimension, 0)
    bodies = vectors.astype(">f4")
    parts = [_HEADER]
    for key, text, body in zip(keys, texts, bodies, strict=True):
        parts.append(struct.pack("!h", 3))
        for value in (key.encode(), text.encode()):
            parts += (struct.pack("!i", len(value)), value)
        parts += (vector_header, body.tobytes())
    return b"".join((*parts, _TRAILER))
