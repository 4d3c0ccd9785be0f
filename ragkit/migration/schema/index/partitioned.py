"""Builds the index of a table with partitions, one partition after another.

CREATE INDEX CONCURRENTLY is refused for a partitioned table. So its index is made without those of
the partitions, each of these is built as that of a plain table is, and attached. With the last one
PostgreSQL marks the whole index as valid. A run after a kill goes on where that one was.
See the PostgreSQL manual, "CREATE INDEX", on partitioned tables.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafMigration, of_leaf
from ragkit.migration.partitions.tree import Leaf, Relation, read_leaves, read_relations
from ragkit.migration.schema import statements
from ragkit.migration.schema.index import building
from ragkit.migration.schema.index.building import Report
from ragkit.migration.schema.index.current import IndexState, state
from ragkit.migration.schema.index.estimate import estimate_rows
from ragkit.migration.schema.index.sizing import choose_sizing
from ragkit.migration.schema.online_ddl import run_online

# The names may be PostgreSQL's own: those of partitions that came after the index.
_ATTACHED = sa.text("""
    with recursive attached(oid) as (
        select to_regclass(:name)::oid
        union all select i.inhrelid from attached a join pg_inherits i on i.inhparent = a.oid)
    select i.indrelid::bigint, n.nspname, c.relname
    from attached a join pg_index i on i.indexrelid = a.oid
    join pg_class c on c.oid = a.oid join pg_namespace n on n.oid = c.relnamespace
""")
# Two that create the same index at once would fail.
_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended('ragkit parts of ' || :name, 0))")


@dataclass(frozen=True)
class Part:
    """One of the tables that make up a partitioned one: what to build there, if anything, and what
    to attach to the index of its parent."""

    table: LeafMigration
    relation: Relation

    @property
    def has_rows(self) -> bool:
        return self.relation.kind == "r"

    @property
    def index(self) -> str:
        """Quoted."""
        return statements.qualified_index(self.table)


def build(migration: Migration, report: Report = lambda _: None) -> IndexState:
    """Of a plain table too: see `ragkit.migration.schema.index.building.build`, whose errors are
    raised; a statement on a partition that others have locked raises DatabaseError."""
    with translate_errors("building the index"), migration.engine.connect() as connection:
        parts, current = read_parts(connection, migration), state(connection, migration)
    if len(parts) == 1 and parts[0].has_rows:
        return building.build(migration, report)
    if current.valid or migration.plan.index.type == "none":
        return current
    built = [
        done for part in parts if (done := _build_part(migration, part, report)) and done.seconds
    ]
    with translate_errors("building the index"), migration.engine.connect() as connection:
        current = state(connection, migration)
    settings = "; ".join(dict.fromkeys(done.settings for done in built))
    return replace(current, seconds=sum(done.seconds for done in built), settings=settings)


def read_parts(connection: sa.Connection, migration: Migration) -> list[Part]:
    """Of the new vectors' table, parents before their partitions; one for a plain table."""
    relations = read_relations(connection, migration.new_place[0])
    return [
        Part(of_leaf(migration, Leaf(r.oid, r.schema, r.name, filenode=0, blocks=0)), r)
        for r in relations
        if r.kind in ("r", "p")
    ]


def index_sql(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """What `build` runs, in that order, while no partition has its index."""
    parts = read_parts(connection, migration)
    by_oid = {part.relation.oid: part for part in parts}
    for part in parts:
        yield _create_sql(connection, part)
        if parent := by_oid.get(part.relation.parent or 0):
            yield statements.attach_index(parent.index, part.index)


def _create_sql(connection: sa.Connection, part: Part) -> str:
    """The lists of a partitioned IVFFlat index are for partitions that come."""
    rows = estimate_rows(connection, part.table)
    if part.has_rows:
        sizing = choose_sizing(connection, part.table, rows, may_set=True)
        return statements.create_index(part.table, sizing.lists)
    leaves = len(read_leaves(connection, part.relation.regclass))
    sizing = choose_sizing(connection, part.table, rows // max(leaves, 1), may_set=True)
    return statements.create_partitioned_index(part.table, sizing.lists)


def _build_part(migration: Migration, part: Part, report: Report) -> IndexState | None:
    """None where nothing was to be built."""
    with translate_errors("building the index"), migration.engine.connect() as connection:
        if part.relation.oid in _attached(connection, migration):
            return None
        sql = "" if part.has_rows else _create_sql(connection, part)
    built = building.build(part.table, report) if part.has_rows else None

    def change(connection: sa.Connection) -> None:
        connection.execute(_LOCK, {"name": statements.qualified_index(migration)})
        attached = _attached(connection, migration)
        if part.relation.oid in attached:  # by another session, meanwhile
            return
        if sql:
            connection.exec_driver_sql(sql)
        if parent := attached.get(part.relation.parent or 0):
            connection.exec_driver_sql(statements.attach_index(parent, part.index))

    with translate_errors("building the index"):
        run_online(part.table, change)
    return built


def _attached(connection: sa.Connection, migration: Migration) -> dict[int, str]:
    """The indexes that belong to the whole one, quoted, by the oids of their tables."""
    name = {"name": statements.qualified_index(migration)}
    rows = connection.execute(_ATTACHED, name)
    return {table: quote_identifier(schema, index) for table, schema, index in rows}
