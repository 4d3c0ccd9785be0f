"""What is there before anything is changed: vector columns, indexes, texts."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.contract import SCHEMA, bindings
from ragkit.database import plain_errors, quoted
from ragkit.embedders import model_of
from ragkit.migration.coverage import has_text
from ragkit.migration.subject import Migration
from ragkit.models import CHARACTERS_PER_TOKEN

UNIT_TOLERANCE = 1e-3

_VECTOR_COLUMNS = sa.text("""
    select n.nspname as schema, c.relname as table, a.attname as column, t.typname as type,
           a.atttypmod as dimension, pg_total_relation_size(c.oid) as bytes
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
    """Counts of rows; `bytes` is the table's size with its indexes; model by the contract."""

    table: str
    column: str
    dimension: int
    rows: int
    nulls: int
    duplicates: int
    zero: int
    not_unit: int
    bytes: int
    model: str


@dataclass(frozen=True)
class Index:
    name: str
    valid: bool
    bytes: int
    definition: str


@dataclass(frozen=True)
class Texts:
    """Lengths in characters. `too_long` rows are estimated to exceed the new model's limit."""

    rows: int
    null: int
    blank: int
    longest: int
    too_long: int


def vector_columns(migration: Migration) -> list[VectorColumn]:
    """Every vector column of the database; each is read once in full."""
    with plain_errors("inspecting vectors"), migration.engine.connect() as connection:
        found = connection.execute(_VECTOR_COLUMNS, {"own": SCHEMA}).all()
        return [_measured(connection, each) for each in found]


def _measured(connection: sa.Connection, found: sa.Row) -> VectorColumn:
    name = f"{found.schema}.{found.table}"
    vector, table = quoted(found.column), quoted(found.schema, found.table)
    norm = f"l2_norm({vector}::{'halfvec' if found.type == 'halfvec' else 'vector'})"
    if found.type == "vector":
        norm = f"vector_norm({vector})"
    counts = connection.exec_driver_sql(
        f"select count(*), count(*) - count({vector}), "
        f"count({vector}) - count(distinct {vector}), "
        f"count(*) filter (where {norm} = 0), "
        f"count(*) filter (where {norm} > 0 and abs({norm} - 1) > {UNIT_TOLERANCE}) "
        f"from {table}"
    ).one()
    held = {b.column: b.space.model for b in bindings(connection, name)}
    model = held.get(found.column, "no contract")
    return VectorColumn(name, found.column, found.dimension, *counts, found.bytes, model)


def indexes(migration: Migration) -> list[Index]:
    table = quoted(migration.plan.table_schema, migration.plan.table)
    with plain_errors("inspecting indexes"), migration.engine.connect() as connection:
        return [Index(*row) for row in connection.execute(_INDEXES, {"table": table})]


def texts(migration: Migration) -> Texts:
    content = migration.content
    limit = _limit(migration)
    too_long = sa.func.length(content) > limit if limit else sa.false()
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(content.is_(None)),
        sa.func.count().filter(content.is_not(None) & ~has_text(content)),
        sa.func.coalesce(sa.func.max(sa.func.length(content)), 0),
        sa.func.count().filter(too_long),
    ).select_from(migration.table)
    with plain_errors("inspecting texts"), migration.engine.connect() as connection:
        return Texts(*connection.execute(query).one())


def _limit(migration: Migration) -> int | None:
    """Characters that the new model takes in one text, by the estimate; None for no limit."""
    tokens = model_of(migration.plan.new_model).max_tokens_per_text
    return tokens * CHARACTERS_PER_TOKEN if tokens else None
