"""How long the database takes for a row of the backfill, measured on a few rows of the table."""

import time
from dataclasses import replace

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import CatalogType, vector_type
from ragkit.migration.backfill.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text, in_blocks
from ragkit.migration.schema import write_view
from ragkit.migration.work.rows import Row

READ_BLOCKS, COPIED_ROWS, ROWS_A_WRITE = 64, 512, 128
_COPY, _TEMPORARY = "ragkit_trial_rows", "pg_temp"
_TID = CatalogType("tid")


def time_rows(migration: Migration) -> float:
    """Seconds to read and to write a row, by the statements of the backfill; the model works
    meanwhile. Writes a temporary copy of a few rows only, in a transaction that is rolled back.
    Raises DatabaseError."""
    with translate_errors("the trial"), migration.engine.connect() as connection:
        seconds = _time_reads(connection, migration) + _time_writes(connection, migration)
        connection.rollback()
    return seconds


def _time_reads(connection: sa.Connection, migration: Migration) -> float:
    """Of the first blocks: where rows are, then their texts."""
    ctid: sa.ColumnElement[object] = sa.column("ctid", _TID)
    places = migration.select(sa.cast(ctid, sa.Text)).where(
        *in_blocks(0, READ_BLOCKS), has_text(migration.content)
    )
    start = time.monotonic()
    ctids = list(connection.scalars(places))
    if not ctids:
        return 0.0
    texts = migration.select(migration.key_text, migration.content)
    connection.execute(texts.where(ctid == sa.any_(sa.cast(ctids, ARRAY(_TID))))).all()
    return (time.monotonic() - start) / len(ctids)


def _time_writes(connection: sa.Connection, migration: Migration) -> float:
    """By the writer itself, on a copy of the table's first rows."""
    plan, dimension = migration.plan, migration.new.space.dimension
    place = plan.table.model_copy(update={"schema_name": _TEMPORARY, "name": _COPY})
    trial = replace(migration, plan=plan.model_copy(update={"table": place}))
    column, key = quote_identifier(plan.new.column), quote_identifier(plan.table.key)
    names = dict.fromkeys((plan.table.key, plan.table.content, plan.old.column))
    columns = ", ".join(map(quote_identifier, names))
    run = connection.exec_driver_sql
    run(
        f"create temporary table {_COPY} on commit drop as select {columns} "
        f"from {migration.quoted_table} limit {COPIED_ROWS:d}"
    )
    run(f"alter table {_COPY} add column {column} {vector_type(dimension).get_col_spec()}")
    run(f"create unique index on {_COPY} ({key})")
    for statement in write_view.create_sql(trial, _TEMPORARY):
        run(statement)
    texts = trial.select(trial.key_text, trial.content).where(has_text(trial.content))
    rows = [Row(*row) for row in connection.execute(texts)]
    writer = Writer(trial, _TEMPORARY)
    start = time.monotonic()
    for first in range(0, len(rows), ROWS_A_WRITE):
        part = rows[first : first + ROWS_A_WRITE]
        vectors = np.random.default_rng(first).normal(size=(len(part), dimension))
        writer.copy(connection, part, vectors)
    return (time.monotonic() - start) / len(rows) if rows else 0.0
