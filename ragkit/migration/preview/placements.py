"""What a row of the backfill takes in a column and in a side table, measured on a sample.

A column is written by an update. On a page with room it stays HOT and touches no index; on a full
one it is entered into every index of the table again, also into the old vectors'. The sample is
written both ways, and the table's rows a page say how often each comes.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.migration.backfill.writing.side_writer import open_writer
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_blocks, has_text
from ragkit.migration.schema import statements
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.migration.schema.side_table.table import create_table
from ragkit.migration.work.rows import Row
from ragkit.migration.work.tables import QUEUE, create_tables, queue_partition
from ragkit.retrieval.contract import SCHEMA

SAMPLED_ROWS, ROWS_A_WRITE = 512, 128
_WAL = sa.text("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")
_SIZE = sa.text("select pg_total_relation_size(to_regclass(:table))")
PAGE_BYTES = 8192


@dataclass(frozen=True)
class Cost:
    """Of a row: seconds to write it, bytes of write-ahead log (with what others wrote meanwhile),
    and bytes of disk, without the new index, which both placements need."""

    seconds: float
    wal_bytes: float
    disk_bytes: float


@dataclass(frozen=True)
class Placements:
    """`hot_share` of the column's updates stay HOT. `side_table` is None where the table's terms
    are not plain, and allow no other placement than a column."""

    column: Cost
    side_table: Cost | None
    hot_share: float

    def of(self, migration: Migration) -> Cost:
        """The cost of the placement that the plan has."""
        return self.side_table if migration.new_side and self.side_table else self.column


NOTHING = Cost(0.0, 0.0, 0.0)


def measure_placements(migration: Migration, column_bytes: float) -> Placements:
    """Writes copies of a few rows in schema `ragkit`, in one transaction that is rolled back.
    `column_bytes` are those of a vector on disk. Raises DatabaseError."""
    with translate_errors("the trial"), migration.engine.connect() as connection:
        pages, rows = count_blocks(connection, migration), estimate_rows(connection, migration)
        for statement in (*statements.lock_schema(), statements.create_schema()):
            connection.exec_driver_sql(statement)
        create_tables(connection)
        hot = _write(connection, migration, _placed(migration, "ragkit_trial_hot", "column"), "")
        if hot is None:
            connection.rollback()
            return Placements(NOTHING, NOTHING, 1.0)
        side_table = None
        if migration.terms.is_plain:
            beside = _placed(migration, "ragkit_trial_beside", "side_table")
            side_table = _write(connection, migration, beside, "")
        indexed = _placed(migration, "ragkit_trial_cold", "column")
        cold = _write(connection, migration, indexed, "including indexes")
        connection.rollback()
    assert cold
    # Of a page that is full, the first row has to move; then each makes room for the next one.
    moving = min(1.0, pages / max(rows, 1))
    growth = max(1.0, log(max(rows, 2)) / log(SAMPLED_ROWS))  # of the search for neighbours
    left_behind = pages * PAGE_BYTES / max(rows, 1) + max(cold.disk_bytes - hot.disk_bytes, 0.0)
    column = Cost(
        hot.seconds + moving * growth * max(cold.seconds - hot.seconds, 0.0),
        hot.wal_bytes + moving * max(cold.wal_bytes - hot.wal_bytes, 0.0),
        column_bytes + moving * left_behind,
    )
    return Placements(column, side_table, 1 - moving)


def _placed(migration: Migration, name: str, placement: str) -> Migration:
    """A migration of a copy of the table."""
    plan = migration.plan
    table = plan.table.model_copy(update={"schema_name": SCHEMA, "name": name})
    new = plan.new.model_copy(update={"placement": placement})
    return replace(migration, plan=plan.model_copy(update={"table": table, "new": new}))


def _write(
    connection: sa.Connection, migration: Migration, trial: Migration, indexes: str
) -> Cost | None:
    """By the writer itself. None for a table without texts."""
    run, key = connection.exec_driver_sql, ", ".join(trial.terms.key.quoted)
    like = f"like {migration.quoted_table} including storage {indexes}"
    run(f"create table {trial.quoted_table} ({like})")
    run(
        f"insert into {trial.quoted_table} select * from {migration.quoted_table} "
        f"limit {SAMPLED_ROWS:d}"
    )
    if not indexes:
        run(f"create unique index on {trial.quoted_table} ({key})")
    if trial.new_side:
        run(create_table(trial))
    else:
        column = quote_identifier(trial.plan.new.column)
        run(f"alter table {trial.quoted_table} drop column if exists {column}")
        run(statements.add_column(trial))
    run(f"create table {queue_partition(trial.id)} (like {SCHEMA}.{QUEUE.name})")
    texts = trial.select(trial.key_text, trial.content).where(has_text(trial.content))
    rows = [Row(*row) for row in connection.execute(texts)]
    return _measure(connection, trial, rows) if rows else None


def _measure(connection: sa.Connection, trial: Migration, rows: Sequence[Row]) -> Cost:
    writer, table = open_writer(trial), {"table": trial.new_place[0]}
    wal, size = connection.scalar(_WAL), connection.scalar(_SIZE, table)
    start = time.monotonic()
    for first in range(0, len(rows), ROWS_A_WRITE):
        part = rows[first : first + ROWS_A_WRITE]
        vectors = np.random.default_rng(first).normal(size=(len(part), trial.new.space.dimension))
        writer.send(connection, part, vectors)
    seconds = time.monotonic() - start
    written = float((connection.scalar(_WAL) or 0) - (wal or 0))
    grown = float((connection.scalar(_SIZE, table) or 0) - (size or 0))
    return Cost(seconds / len(rows), written / len(rows), grown / len(rows))
