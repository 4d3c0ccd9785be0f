"""How long the database takes for a row of the backfill, measured on a few rows of the table."""

import time
from dataclasses import replace

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import CatalogType, vector_type
from ragkit.migration.backfill.stripes import in_stripe, stripe_count
from ragkit.migration.backfill.writer import write_vectors
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text

PAGES, COPIED_ROWS = 8, 512
_COPY = "ragkit_trial_rows"


def time_rows(migration: Migration) -> float:
    """Seconds to read and to write a row, by the statements of the backfill; the model works
    meanwhile. Writes a temporary copy of a few rows only. Raises DatabaseError."""
    size = max(1, migration.plan.backfill.batch_size // 2)
    with translate_errors("the trial"), migration.engine.connect() as connection:
        connection.detach()
        return _time_reads(connection, migration, size) + _time_writes(connection, migration, size)


def _time_reads(connection: sa.Connection, migration: Migration, size: int) -> float:
    """By pages of `size` rows, in the first stripe."""
    rows = connection.scalar(migration.select(sa.func.count())) or 0
    stripes = stripe_count(rows, migration.plan.backfill.batch_size)
    pages = migration.select(migration.key_text, migration.content).limit(size)
    pages = pages.where(has_text(migration.content), in_stripe(migration, 0, stripes))
    pages, key_type = pages.order_by(migration.key), CatalogType(migration.key_type)
    read, start, query = 0, time.monotonic(), pages
    for _ in range(PAGES):
        page = connection.execute(query).all()
        connection.commit()
        if not page:
            break
        query = pages.where(migration.key > sa.cast(page[-1][0], key_type))
        read += len(page)
    return (time.monotonic() - start) / read if read else 0.0


def _time_writes(connection: sa.Connection, migration: Migration, size: int) -> float:
    """By the writer itself, on a copy of the table's first rows."""
    plan, dimension = migration.plan, migration.new.space.dimension
    place = plan.table.model_copy(update={"schema_name": "pg_temp", "name": _COPY})
    trial = replace(migration, plan=plan.model_copy(update={"table": place}))
    column, key = quote_identifier(plan.new.column), quote_identifier(plan.table.key)
    names = dict.fromkeys((plan.table.key, plan.table.content, plan.old.column))
    columns = ", ".join(map(quote_identifier, names))
    run = connection.exec_driver_sql
    run(
        f"create temporary table {_COPY} as select {columns} from {migration.quoted_table} "
        f"limit {COPIED_ROWS:d}"
    )
    run(f"alter table {_COPY} add column {column} {vector_type(dimension).get_col_spec()}")
    run(f"create unique index on {_COPY} ({key})")
    texts = trial.select(trial.key_text, trial.content).where(has_text(trial.content))
    rows = connection.execute(texts).all()
    connection.commit()
    start = time.monotonic()
    for first in range(0, len(rows), size):
        keys, contents = zip(*rows[first : first + size], strict=True)
        vectors = np.random.default_rng(first).normal(size=(len(keys), dimension))
        write_vectors(connection, trial, keys, contents, vectors)
        connection.commit()
    return (time.monotonic() - start) / len(rows) if rows else 0.0
