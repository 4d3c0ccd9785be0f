"""What vectors of the new model cost on this server, measured on a temporary table."""

import time
from dataclasses import dataclass
from math import log

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.migration.migration import Migration
from ragkit.migration.preview.row_time import time_rows
from ragkit.migration.schema import statements
from ragkit.migration.schema.statements import ROWS_PER_LIST

TRIAL_ROWS = 2000
_NAME = "ragkit_trial"


@dataclass(frozen=True)
class Trial:
    """Of `rows` random unit vectors: bytes of the column and of its index for each row, seconds to
    read and write a row, seconds of the whole index build."""

    rows: int
    column_bytes: float
    index_bytes: float
    row_seconds: float
    index_seconds: float

    def seconds_for(self, rows: int) -> float:
        """To build an index over so many rows: the time grows with rows · log(rows)."""
        if rows < 2:
            return 0.0
        return self.index_seconds * rows * log(rows) / (self.rows * log(self.rows))


def run_trial(migration: Migration) -> Trial:
    """Leaves nothing behind: the table is temporary, and its transaction is rolled back. The index
    is built with the plan's memory, but by one process. Raises DatabaseError."""
    dimension = migration.new.space.dimension
    kind = vector_type(dimension)
    vectors = np.random.default_rng(1).normal(size=(TRIAL_ROWS, dimension))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    table = sa.table(_NAME, sa.column("vector", kind), schema="pg_temp")
    with translate_errors("the trial"), migration.engine.connect() as connection:
        run = connection.exec_driver_sql
        run(f"create temporary table {_NAME} (vector {kind.get_col_spec()}) on commit drop")
        empty = _size(connection, _NAME)
        for part in np.array_split(vectors, 8):
            rows = sa.values(sa.column("vector", VECTOR), name="rows").data([(v,) for v in part])
            vector = sa.cast(rows.c.vector, kind)
            connection.execute(sa.insert(table).from_select(["vector"], sa.select(vector)))
        column = (_size(connection, _NAME) - empty) / TRIAL_ROWS
        index, seconds = _time_index(connection, migration)
        connection.rollback()
    return Trial(TRIAL_ROWS, column, index, time_rows(migration), seconds)


def _time_index(connection: sa.Connection, migration: Migration) -> tuple[float, float]:
    """Bytes for each row, and seconds of the build."""
    plan, run = migration.plan.index, connection.exec_driver_sql
    if plan.type == "none":
        return 0.0, 0.0
    run(f"set local maintenance_work_mem = '{plan.memory_mb:d}MB'")
    method = f"{plan.type} (vector {statements.operator_class(migration)})"
    if plan.type == "ivfflat":
        method += f" with (lists = {max(1, TRIAL_ROWS // ROWS_PER_LIST)})"
    start = time.monotonic()
    run(f"create index {_NAME}_index on {_NAME} using {method}")
    seconds = time.monotonic() - start
    return _size(connection, f"{_NAME}_index") / TRIAL_ROWS, seconds


def _size(connection: sa.Connection, name: str) -> int:
    """Bytes, with TOAST."""
    query = sa.select(sa.func.pg_total_relation_size(f"pg_temp.{name}"))
    size: int = connection.scalars(query).one()
    return size
