"""What the database holds before anything is changed: vector columns, indexes, texts."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import CHARACTERS_PER_TOKEN, find_model
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.retrieval.contract import SCHEMA, read_bindings

UNIT_TOLERANCE = 1e-3
"""How much a vector's length may differ from 1."""

_VECTOR_COLUMNS = sa.text("""
    select n.nspname as schema, c.relname as table, a.attname as column, t.typname as type,
           a.atttypmod as dimension, pg_total_relation_size(c.oid) as bytes,
           has_schema_privilege(n.oid, 'USAGE') and has_column_privilege(c.oid, a.attnum, 'SELECT')
             as readable, current_user as role
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind = 'r'
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid and t.typname in ('vector', 'halfvec')
    where not a.attisdropped and n.nspname not like 'pg\\_%' and n.nspname <> :own
    order by 1, 2, a.attnum
""")
_INDEXES = sa.text("""
    select i.indexrelid::regclass::text as name, i.indisvalid as valid,
           pg_relation_size(i.indexrelid) as bytes, pg_get_indexdef(i.indexrelid) as definition
    from pg_index i where i.indrelid = to_regclass(:table) order by 1
""")


@dataclass(frozen=True)
class VectorColumn:
    """Counts are of rows; `bytes` is the table's size with its indexes. `model` is the contract's.

    The counts are None, and `model` says so, for a table that this role may not read.
    `duplicates` share their vector with another row; `not_unit` vectors have another length than 1.
    """

    table: str
    column: str
    dimension: int
    rows: int | None
    nulls: int | None
    duplicates: int | None
    zero: int | None
    not_unit: int | None
    bytes: int
    model: str


@dataclass(frozen=True)
class Index:
    """`valid` is false for the leftover of a killed build; `definition` is SQL."""

    name: str
    valid: bool
    bytes: int
    definition: str


@dataclass(frozen=True)
class TextStatistics:
    """Counts of rows. `longest` is in characters; `too_long` texts are estimated to exceed the new
    model's limit."""

    rows: int
    null: int
    blank: int
    longest: int
    too_long: int


def vector_columns(migration: Migration) -> list[VectorColumn]:
    """Every vector column of the database; each is read once in full. Raises DatabaseError."""
    with translate_errors("inspecting vectors"), migration.engine.connect() as connection:
        columns = connection.execute(_VECTOR_COLUMNS, {"own": SCHEMA}).all()
        return [_measure(connection, column) for column in columns]


def _measure(connection: sa.Connection, column: sa.Row[Any]) -> VectorColumn:
    table_name = f"{column.schema}.{column.table}"
    vector, table = quote_identifier(column.column), quote_identifier(column.schema, column.table)
    if not column.readable:
        unread = dict.fromkeys(("rows", "nulls", "duplicates", "zero", "not_unit"))
        return VectorColumn(
            table=table_name, column=column.column, dimension=column.dimension, **unread,
            bytes=column.bytes,
            model=f"not read: GRANT SELECT ON {table} TO {quote_identifier(column.role)};",
        )  # fmt: skip
    norm = f"{'vector_norm' if column.type == 'vector' else 'l2_norm'}({vector})"
    counts = connection.exec_driver_sql(
        f"select count(*), count(*) - count({vector}), "
        f"count({vector}) - count(distinct {vector}), "
        f"count(*) filter (where {norm} = 0), "
        f"count(*) filter (where {norm} > 0 and abs({norm} - 1) > {UNIT_TOLERANCE}) "
        f"from {table}"
    ).one()
    models = {b.column: b.space.model for b in read_bindings(connection, table_name)}
    rows, nulls, duplicates, zero, not_unit = counts
    return VectorColumn(
        table=table_name,
        column=column.column,
        dimension=column.dimension,
        rows=rows,
        nulls=nulls,
        duplicates=duplicates,
        zero=zero,
        not_unit=not_unit,
        bytes=column.bytes,
        model=models.get(column.column, "no contract"),
    )


def indexes(migration: Migration) -> list[Index]:
    """All indexes of the plan's table. Raises DatabaseError."""
    with translate_errors("inspecting indexes"), migration.engine.connect() as connection:
        rows = connection.execute(_INDEXES, {"table": migration.quoted_table})
        return [Index(*row) for row in rows]


def text_statistics(migration: Migration) -> TextStatistics:
    """Of the content column. Raises DatabaseError."""
    content, limit = migration.content, _max_characters(migration)
    too_long = sa.func.length(content) > limit if limit else sa.false()
    query = migration.select(
        sa.func.count(),
        sa.func.count().filter(content.is_(None)),
        sa.func.count().filter(content.is_not(None) & ~has_text(content)),
        sa.func.coalesce(sa.func.max(sa.func.length(content)), 0),
        sa.func.count().filter(too_long),
    )
    with translate_errors("inspecting texts"), migration.engine.connect() as connection:
        return TextStatistics(*connection.execute(query).one())


def _max_characters(migration: Migration) -> int | None:
    """Of one text for the new model, by estimate; None for no limit."""
    name = migration.plan.new.model
    tokens = None if ":" in name else find_model(name).max_tokens_per_text
    return tokens * CHARACTERS_PER_TOKEN if tokens else None
