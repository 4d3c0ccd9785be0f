"""The guarded write: a vector lands only beside the text it was made from.

The vectors of a batch go into a temporary table by binary COPY, then into the table by one
UPDATE that compares the text again. Format: PostgreSQL manual, "COPY", Binary Format; vector as
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

from ragkit.errors import DatabaseError
from ragkit.migration.subject import Migration
from ragkit.migration.verbatim import Verbatim

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)
ROUND_TRIPS = 2
"""Of pg8000 for one statement with values: it is parsed first, then run."""
_COPY = "copy pg_temp.ragkit_stage from stdin with (format binary)"


class Written(NamedTuple):
    """How many vectors landed, and how long the server worked on rows that it had locked: a
    network that is slow is no reason to write fewer."""

    landed: int
    seconds: float


def write(
    connection: sa.Connection,
    migration: Migration,
    keys: Sequence[str],
    texts: Sequence[str],
    vectors: np.ndarray,
) -> Written:
    """Writes the vectors, shape (len(keys), dimension), in the connection's transaction.

    `keys` are the keys' text form. A row that was deleted, edited or filled since its text was
    read is passed over. Raises DatabaseError when none is kept.
    """
    dimension, began = migration.new.space.dimension, time.monotonic()
    connection.exec_driver_sql(
        "create temporary table if not exists ragkit_stage "
        f"(key text, content text, vector vector({dimension})) on commit delete rows"
    )
    far = time.monotonic() - began
    cursor = connection.connection.cursor()
    cursor.execute(_COPY, stream=BytesIO(_encoded(keys, texts, vectors)))
    stage = sa.table(
        "ragkit_stage",
        sa.column("key"), sa.column("content"), sa.column("vector", VECTOR(dimension)),
        schema="pg_temp",
    )  # fmt: skip
    began = time.monotonic()
    written = connection.execute(
        sa.update(migration.table)
        .values({migration.plan.new_column: stage.c.vector})
        .where(
            migration.key == sa.cast(stage.c.key, Verbatim(migration.key_type)),
            migration.content == stage.c.content,
            migration.new_vector.is_(None),
        )
        .returning(migration.new_vector.is_not(None))  # as the table's triggers left it
    ).scalars()
    kept = list(written)
    seconds = time.monotonic() - began - ROUND_TRIPS * far
    if kept and not any(kept):
        raise DatabaseError(
            f"vectors were written to {migration.plan.new_column!r} and are gone: "
            "a trigger of the table takes them away; change it so that it leaves this column"
        )
    return Written(sum(kept), max(seconds, 0.0))


def _encoded(keys: Sequence[str], texts: Sequence[str], vectors: np.ndarray) -> bytes:
    dimension = vectors.shape[1]
    size = 4 + 4 * dimension
    prefix = struct.pack("!ihh", size, dimension, 0)
    bodies = vectors.astype(">f4")
    parts = [_HEADER]
    for key, text, body in zip(keys, texts, bodies, strict=True):
        parts.append(struct.pack("!h", 3))
        for value in (key.encode(), text.encode()):
            parts += (struct.pack("!i", len(value)), value)
        parts += (prefix, body.tobytes())
    return b"".join((*parts, _TRAILER))
