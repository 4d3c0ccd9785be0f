"""What the database holds before anything is changed: vector columns, indexes, texts."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.migration.inspection.long_texts import measure_lengths
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.retrieval.contract import SCHEMA, read_bindings

UNIT_TOLERANCE = 1e-3
"""How much a vector's length may differ from 1."""

_VECTOR_COLUMNS = sa.text("""
    select n.nspname as schema, c.relname as table, a.attname as column, t.typname as type,
           a.atttypmod as dimension,
           pg_total_relation_size(c.oid) + coalesce((
               select sum(pg_total_relation_size(relid))::bigint
               from pg_partition_tree(c.oid) where isleaf and relid <> c.oid), 0) as bytes,
           has_schema_privilege(n.oid, 'USAGE') and has_column_privilege(c.oid, a.attnum, 'SELECT')
             as readable, current_user as role
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid and c.relkind in ('r', 'p')
      and not c.relispartition
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid and t.typname in ('vector', 'halfvec')
    where not a.attisdropped and n.nspname not like 'pg\\_%' and n.nspname <> :own
    order by 1, 2, a.attnum
""")
_INDEXES = sa.text("""
    select i.indexrelid::regclass::text as name, i.indisvalid as valid,
           pg_relation_size(i.indexrelid) + coalesce((
               select sum(pg_relation_size(relid))::bigint
               from pg_partition_tree(i.indexrelid) where isleaf), 0) as bytes,
           pg_get_indexdef(i.indexrelid) as definition
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
    """Counts of rows. `longest` is in characters. `duplicates` have a text that another row has;
    `too_long` texts exceed the new model's limit, and `counted_by` says how that was found."""

    rows: int
    null: int
    blank: int
    longest: int
    duplicates: int
    too_long: int
    counted_by: str


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


def text_statistics(migration: Migration, embedder: Embedder) -> TextStatistics:
    """Of the content column; `embedder` is the new model's, and embeds nothing.

    Raises DatabaseError.
    """
    content = migration.content
    query = migration.select(
        sa.func.count(),
        sa.func.count().filter(content.is_(None)),
        sa.func.count().filter(content.is_not(None) & ~has_text(content)),
        sa.func.coalesce(sa.func.max(sa.func.length(content)), 0),
    )
    same = migration.select(sa.func.count().label("rows")).where(has_text(content))
    same = same.group_by(sa.func.md5(content)).having(sa.func.count() > 1)
    duplicates = sa.select(sa.func.coalesce(sa.func.sum(same.subquery().c.rows), 0))
    with translate_errors("inspecting texts"), migration.engine.connect() as connection:
        counts = connection.execute(query).one()
        shared = int(connection.scalar(duplicates) or 0)
    lengths = measure_lengths(migration, embedder, has_text(content))
    rows, null, blank, longest = counts
    return TextStatistics(rows, null, blank, longest, shared, lengths.too_long, lengths.counted_by)
