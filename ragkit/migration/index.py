"""The approximate index of the new column, built while the table is written to."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database import autocommit, plain_errors, quoted
from ragkit.migration.subject import Migration

OPERATOR_CLASSES = {
    "cosine": "vector_cosine_ops",
    "l2": "vector_l2_ops",
    "inner_product": "vector_ip_ops",
}
_FOUND = sa.text("""
    select i.indisvalid as valid, pg_relation_size(i.indexrelid) as bytes
    from pg_index i where i.indexrelid = to_regclass(:name)
""")


@dataclass(frozen=True)
class IndexState:
    name: str
    exists: bool
    valid: bool
    bytes: int


def state(connection: sa.Connection, migration: Migration) -> IndexState:
    name = _name(migration)
    found = connection.execute(
        _FOUND, {"name": quoted(migration.plan.table_schema, name)}
    ).one_or_none()
    return IndexState(name, True, *found) if found else IndexState(name, False, False, 0)


def build(migration: Migration) -> IndexState:
    """HNSW by CREATE INDEX CONCURRENTLY; an invalid leftover of a killed build is replaced.

    Nothing happens when a valid one is there, or when the plan wants none.
    """
    with plain_errors("building the index"), migration.engine.connect() as connection:
        found = state(connection, migration)
        if found.valid or migration.plan.index_type == "none":
            return found
    plan, name = migration.plan, quoted(found.name)
    statements = [
        f"create index concurrently {name} on {quoted(plan.table_schema, plan.table)} "
        f"using hnsw ({quoted(plan.new_column)} {OPERATOR_CLASSES[plan.distance]})"
    ]
    if found.exists:
        leftover = quoted(plan.table_schema, found.name)
        statements.insert(0, f"drop index concurrently {leftover}")
    with plain_errors("building the index"), autocommit(migration.engine) as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
        return state(connection, migration)


def _name(migration: Migration) -> str:
    plan = migration.plan
    return f"{plan.table}_{plan.new_column}_hnsw"[-63:]
