"""Writes vectors into a side table. Nothing of the app's is locked."""

import json
from collections.abc import Sequence

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.round_trip import ask
from ragkit.migration.backfill.writing.write_size import WriteSize
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.schema.side_table.writing import tidy_sql, write_sql
from ragkit.migration.work.rows import Row
from ragkit.retrieval.guarded_write import SIDE_SETTINGS, encode_digests

MAX_ROWS, TARGET_SECONDS = 2048, 0.25
"""Of a write, for which nobody waits."""


def open_writer(migration: Migration, also: str = "") -> Writer:
    """For the column, or the side table, of the new vectors; `also` as of Writer."""
    return (SideWriter if migration.new_side else Writer)(migration, also)


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

    at_once = 2

    def __init__(self, migration: Migration, also: str = ""):
        super().__init__(migration)
        self._sql, self._settings = write_sql(migration, also), SIDE_SETTINGS
        self.size = WriteSize(MAX_ROWS, TARGET_SECONDS)

    def send(
        self, connection: sa.Connection, rows: Sequence[Row], vectors: np.ndarray
    ) -> tuple[int, float]:
        """The vectors that landed beside the text they were made from, and the time (s)."""
        written, seconds = super().send(connection, rows, vectors)
        unfit = tidy(connection, self._migration, [row.key for row in rows])
        return written - unfit, seconds

    def _made_from(self, rows: Sequence[Row]) -> bytes:
        return encode_digests([row.text for row in rows])
