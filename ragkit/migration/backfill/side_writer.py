"""Writes vectors into a side table: by a plain COPY, as fast as the server takes them.

Nothing of the app's is locked. A COPY fails if one of the keys is there, with a vector of an
earlier text: then the batch is written once more, key by key.
"""

import hashlib
import json
import struct
import time
import uuid
from collections.abc import Callable, Sequence

import numpy as np
import pg8000
import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC

from ragkit.database.copying import copy_from
from ragkit.database.translate import sqlstate, translate_errors
from ragkit.database.types import vector_type
from ragkit.database.wire.round_trip import ask
from ragkit.migration.backfill.write_size import WriteSize
from ragkit.migration.backfill.writer import Writer, encode
from ragkit.migration.migration import Migration
from ragkit.migration.schema.side_table.writing import copy_sql, replace_sql, tidy_sql
from ragkit.migration.work.rows import Row

MAX_ROWS, TARGET_SECONDS = 2048, 0.25
"""Of a write, for which nobody waits."""
_UNIQUE_VIOLATION = "23505"
_BINARY: dict[str, Callable[[str], bytes]] = {
    "smallint": lambda key: struct.pack("!h", int(key)),
    "integer": lambda key: struct.pack("!i", int(key)),
    "bigint": lambda key: struct.pack("!q", int(key)),
    "uuid": lambda key: uuid.UUID(key).bytes,
    "text": str.encode,
    "character varying": str.encode,
}
"""The binary form of a key, by its type without a length."""


def open_writer(migration: Migration) -> Writer:
    """For the column, or the side table, of the new vectors."""
    return SideWriter(migration) if migration.new_side else Writer(migration)


def tidy(connection: sa.Connection, migration: Migration, keys: Sequence[str]) -> int:
    """Takes away the vectors of these keys that are not those of their rows' texts, and says how
    many; in a transaction of its own, unless there is one."""
    sql = tidy_sql(migration)
    [[unfit]] = ask(connection, sql, [json.dumps(list(keys)).encode()], {})
    return int(unfit)


def tidy_keys(migration: Migration, keys: Sequence[str]) -> None:
    """As tidy, for keys of the queue. Raises DatabaseError."""
    with translate_errors("tidying the side table"), migration.engine.connect() as connection:
        connection.connection.rollback()  # as in Writer
        tidy(connection, migration, keys)


class SideWriter(Writer):
    """As Writer, for a side table."""

    def __init__(self, migration: Migration):
        super().__init__(migration)
        self._copy, self._replace = copy_sql(migration), replace_sql(migration)
        self.size = WriteSize(MAX_ROWS, TARGET_SECONDS)
        self._key = _BINARY.get(migration.key_type.partition("(")[0])
        self._is_half = isinstance(vector_type(migration.new.space.dimension), HALFVEC)

    def copy(
        self, connection: sa.Connection, rows: Sequence[Row], vectors: np.ndarray
    ) -> tuple[int, float]:
        """The vectors that landed beside the text they were made from, and the time (s)."""
        digests = [hashlib.md5(r.text.encode(), usedforsecurity=False).digest() for r in rows]
        start = time.monotonic()
        missed = 0
        if not (self._key and self._copy_all(connection, rows, digests, vectors)):
            pairs = [(row.key.encode(), digest) for row, digest in zip(rows, digests, strict=True)]
            missed = copy_from(connection, self._replace, encode(pairs, vectors))
        seconds = self._seconds_since(start)
        unfit = tidy(connection, self._migration, [row.key for row in rows])
        return len(rows) - missed - unfit, seconds

    def _copy_all(
        self,
        connection: sa.Connection,
        rows: Sequence[Row],
        digests: Sequence[bytes],
        vectors: np.ndarray,
    ) -> bool:
        """False when one of the keys is there; then nothing is written."""
        assert self._key
        pairs = [(self._key(row.key), digest) for row, digest in zip(rows, digests, strict=True)]
        data = encode(pairs, vectors, as_half=self._is_half)
        try:
            copy_from(connection, self._copy, data)
        except pg8000.DatabaseError as error:
            if sqlstate(error) != _UNIQUE_VIOLATION:
                raise
            return False
        return True
