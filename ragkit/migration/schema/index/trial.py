"""What an index on vectors of the new model takes on this server, measured on a temporary table."""

import time
from dataclasses import dataclass
from math import log

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.database.wire.arrays import encode_vectors
from ragkit.database.wire.round_trip import ask
from ragkit.migration.migration import Migration
from ragkit.migration.schema import statements
from ragkit.migration.schema.index.choice.width import is_too_wide
from ragkit.migration.schema.index.ivfflat import advised_lists

TRIAL_ROWS = 2000
TRIAL_MB = 128
"""More than the index of the longest vectors takes."""
_NAME = "ragkit_trial"
_VECTOR_OID = sa.text("select 'vector'::regtype::oid::bigint")
_INSERT = f"insert into pg_temp.{_NAME} select unnest($1::vector[])"


@dataclass(frozen=True)
class IndexTrial:
    """Of `rows` random unit vectors: bytes of the column and of its index for each row, and seconds
    of the whole build."""

    rows: int
    column_bytes: float
    index_bytes: float
    index_seconds: float

    def seconds_for(self, rows: int) -> float:
        """To build an index over so many rows: the time grows with rows · log(rows)."""
        if rows < 2:
            return 0.0
        return self.index_seconds * rows * log(rows) / (self.rows * log(self.rows))


def run_index_trial(migration: Migration) -> IndexTrial:
    """Leaves nothing behind, also behind a pooler: one transaction, which is rolled back. The index
    is built by one process, in memory; there is none for vectors that are too wide. Raises
    DatabaseError."""
    dimension, index = migration.new.space.dimension, migration.plan.index
    kind = vector_type(dimension)
    vectors = np.random.default_rng(1).normal(size=(TRIAL_ROWS, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    with translate_errors("the trial"), migration.engine.connect() as connection:
        run = connection.exec_driver_sql
        run(f"create temporary table {_NAME} (vector {kind.get_col_spec()}) on commit drop")
        empty = _size(connection, _NAME)
        oid = connection.scalar(_VECTOR_OID) or 0
        for part in np.array_split(vectors, 8):
            ask(connection, _INSERT, [encode_vectors(oid, part)], {})
        column = (_size(connection, _NAME) - empty) / TRIAL_ROWS
        if index.type == "none" or is_too_wide(migration):
            connection.rollback()
            return IndexTrial(TRIAL_ROWS, column, 0.0, 0.0)
        run(f"set local maintenance_work_mem = '{TRIAL_MB:d}MB'")
        lists = advised_lists(TRIAL_ROWS) if index.type == "ivfflat" else 0
        method = statements.index_method(migration, "vector", lists)
        start = time.monotonic()
        run(f"create index {_NAME}_index on {_NAME} using {method}")
        seconds = time.monotonic() - start
        size = _size(connection, f"{_NAME}_index") / TRIAL_ROWS
        connection.rollback()
    return IndexTrial(TRIAL_ROWS, column, size, seconds)


def _size(connection: sa.Connection, name: str) -> int:
    """Bytes, with TOAST."""
    query = sa.select(sa.func.pg_total_relation_size(f"pg_temp.{name}"))
    size: int = connection.scalars(query).one()
    return size
