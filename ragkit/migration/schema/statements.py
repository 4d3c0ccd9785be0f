"""The statements that change the user's table, as text: run by a step, shown before it."""

import hashlib

from pgvector.sqlalchemy import HALFVEC

from ragkit.database.identifiers import quote_identifier
from ragkit.database.types import vector_type
from ragkit.migration.migration import Migration
from ragkit.migration.schema.side_table.table import drop_table
from ragkit.retrieval.contract import CONTRACT, SCHEMA

OPERATOR_CLASSES = {"cosine": "cosine_ops", "l2": "l2_ops", "inner_product": "ip_ops"}
MAX_NAME = 63
"""Of an identifier, in bytes."""


def lock_schema() -> tuple[str, str]:
    """Until the transaction ends: two that create the schema at once would fail. A session keeps in
    mind that a schema is not there until it next opens a table, so the second one opens one."""
    return (
        "select pg_advisory_xact_lock(hashtextextended('ragkit: create the schema', 0))",
        "select from pg_namespace limit 0",
    )


def create_schema() -> str:
    return f"create schema if not exists {quote_identifier(SCHEMA)}"


def grant_to_app() -> tuple[str, str]:
    """The app reads the contract, perhaps as another role."""
    schema = quote_identifier(SCHEMA)
    return (
        f"grant usage on schema {schema} to public",
        f"grant select on {schema}.{quote_identifier(CONTRACT.name)} to public",
    )


def add_column(migration: Migration) -> str:
    return (
        f"alter table {migration.quoted_table} "
        f"add column if not exists {quote_identifier(migration.plan.new.column)} "
        f"{vector_type(migration.new.space.dimension).get_col_spec()}"
    )


def drop_not_null(migration: Migration) -> str:
    """Of the old column, so that a new revision may insert rows without an old vector."""
    column = quote_identifier(migration.plan.old.column)
    return f"alter table {migration.quoted_table} alter column {column} drop not null"


def drop_column(migration: Migration) -> str:
    """The old one, or its side table."""
    if migration.plan.old.is_beside:
        return drop_table(migration)
    column = quote_identifier(migration.plan.old.column)
    return f"alter table {migration.quoted_table} drop column if exists {column}"


def create_index(migration: Migration, lists: int = 0) -> str:
    """`lists`: of an IVFFlat index."""
    return f"create index concurrently {_index_on(migration, migration.new_place[0], lists)}"


def create_partitioned_index(migration: Migration, lists: int = 0) -> str:
    """Without those of the partitions, and not valid until all of them are attached."""
    table = f"only {migration.quoted_table}"
    return f"create index if not exists {_index_on(migration, table, lists)}"


def _index_on(migration: Migration, table: str, lists: int) -> str:
    plan, column = migration.plan, quote_identifier(migration.new_place[1])
    method = f"{plan.index.type} ({column} {operator_class(migration)})"
    if lists:
        method += f" with (lists = {lists:d})"
    return f"{quote_identifier(index_name(migration))} on {table} using {method}"


def attach_index(partitioned: str, index: str) -> str:
    """Both are quoted."""
    return f"alter index {partitioned} attach partition {index}"


def index_name(migration: Migration) -> str:
    plan = migration.plan
    if side := migration.new_side:
        return f"{side.name.partition('.')[2]}_{plan.index.type}"
    name = f"{migration.table.name}_{plan.new.declared}_{plan.index.type}"
    is_partition = migration.table.name != plan.table.name  # each one has an index
    if len(whole := name.encode()) > MAX_NAME and is_partition:
        start = whole[: MAX_NAME - 9].decode(errors="ignore")
        return f"{start}_{hashlib.sha256(whole).hexdigest()[:8]}"
    return fit_name(name)


def fit_name(name: str) -> str:
    """Its end, where it has more than MAX_NAME bytes. PostgreSQL would keep the start, which may be
    the table's own name."""
    return name.encode()[-MAX_NAME:].decode(errors="ignore")


def index_schema(migration: Migration) -> str:
    return SCHEMA if migration.new_side else str(migration.table.schema)


def qualified_index(migration: Migration) -> str:
    """The index's name as SQL."""
    return quote_identifier(index_schema(migration), index_name(migration))


def operator_class(migration: Migration) -> str:
    """Of the new column's type and the plan's distance."""
    is_half = isinstance(vector_type(migration.new.space.dimension), HALFVEC)
    kind = "halfvec" if is_half else "vector"
    return f"{kind}_{OPERATOR_CLASSES[migration.plan.table.distance]}"
