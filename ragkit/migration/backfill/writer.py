"""The guarded write: a vector lands only beside the text it was made from.

The vectors of a batch go into a temporary table by binary COPY, then into the table by one UPDATE
that compares the text again. Format: PostgreSQL manual, "COPY", Binary Format; vector as
pgvector's vector_recv reads it.
"""

import logging
import struct
import time
from collections.abc import Sequence
from io import BytesIO
from typing import NamedTuple

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR
from sqlalchemy.exc import DBAPIError

from ragkit.database.translate import LOCK_NOT_AVAILABLE, sqlstate, translate_errors
from ragkit.database.types import CatalogType
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_TRAILER = struct.pack("!h", -1)
ROUND_TRIPS = 2
"""Of pg8000 for a statement with values: it is parsed first, then executed."""
ROW_LOCK_MS = 30_000
"""How long a row is waited for that an application has locked."""
log = logging.getLogger(__name__)
_COPY = "copy pg_temp.ragkit_stage from stdin with (format binary)"


class WriteResult(NamedTuple):
    """The number of vectors that landed, the positions of the others, and how long (s) the server
    worked on locked rows: a slow network is no reason to write fewer."""

    landed: int
    others: list[int]
    seconds: float


def write_batch(
    migration: Migration, keys: Sequence[str], texts: Sequence[str], vectors: np.ndarray
) -> WriteResult:
    """Writes vectors of shape (len(keys), dimension) in transactions of its own. Rows that somebody
    else has locked come last, one by one. Raises DatabaseError."""
    with translate_errors("writing vectors"), migration.engine.begin() as connection:
        result = write_vectors(connection, migration, keys, texts, vectors)
    late = [
        i for i in result.others if _write_one(migration, keys[i], texts[i], vectors[i : i + 1])
    ]
    others = [i for i in result.others if i not in late]
    return WriteResult(result.landed + len(late), others, result.seconds)


def _write_one(migration: Migration, key: str, text: str, vector: np.ndarray) -> bool:
    """False when the row does not fit any more, or stays locked: then it is pending."""
    limit = sa.select(sa.func.set_config("lock_timeout", str(ROW_LOCK_MS), True))
    with translate_errors("writing vectors"):
        try:
            with migration.engine.begin() as connection:
                connection.execute(limit)
                result = write_vectors(connection, migration, [key], [text], vector, wait=True)
        except DBAPIError as error:
            if sqlstate(error) != LOCK_NOT_AVAILABLE:
                raise
            log.warning("row %s was locked for %d s; it stays pending", key, ROW_LOCK_MS / 1000)
            return False
    return bool(result.landed)


def write_vectors(
    connection: sa.Connection,
    migration: Migration,
    keys: Sequence[str],
    texts: Sequence[str],
    vectors: np.ndarray,
    *,
    wait: bool = False,
) -> WriteResult:
    """Writes vectors of shape (len(keys), dimension), in the connection's transaction.

    `keys` are in their text form. A row that was deleted, edited or filled since its text was read
    is skipped; so is a row that somebody else has locked, unless `wait` says to wait for it: to
    wait for one row with other rows locked would make their writers wait too. Raises DatabaseError
    when a trigger of the table removes every vector again.
    """
    dimension, start = migration.new.space.dimension, time.monotonic()
    connection.exec_driver_sql(
        # without a dimension: a follower fills both columns, by the same connections
        "create temporary table if not exists ragkit_stage "
        "(key text, content text, vector vector) on commit delete rows"
    )
    round_trip = time.monotonic() - start
    cursor = connection.connection.cursor()
    cursor.execute(_COPY, stream=BytesIO(_encode(keys, texts, vectors)))  # type: ignore[call-arg]  # pg8000
    stage = sa.table(
        "ragkit_stage",
        sa.column("key"), sa.column("content"), sa.column("vector", VECTOR(dimension)),
        schema="pg_temp",
    )  # fmt: skip
    fits = (
        migration.key == sa.cast(stage.c.key, CatalogType(migration.key_type)),
        migration.content == stage.c.content,
        migration.new_vector.is_(None),
    )
    update = sa.update(migration.table).values({migration.plan.new.column: stage.c.vector})
    if not wait:
        free = sa.select(migration.key.label("key")).select_from(migration.table, stage)
        lock = free.where(*fits).with_for_update(of=migration.table, skip_locked=True)
        update = update.where(migration.key == lock.cte("free").c.key)
    is_there = migration.new_vector.is_not(None).label("is_there")  # as triggers left it
    update = update.where(*fits).returning(stage.c.key, is_there)
    start = time.monotonic()
    written = {row.key: row.is_there for row in connection.execute(update)}
    seconds = time.monotonic() - start - ROUND_TRIPS * round_trip
    landed = written.values()
    if landed and not any(landed):
        raise DatabaseError(
            f"vectors were written to {migration.plan.new.column!r} and are gone: a trigger of "
            "the table removes them; change it so that it leaves this column"
        )
    others = [position for position, key in enumerate(keys) if key not in written]
    return WriteResult(sum(landed), others, max(seconds, 0.0))


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
