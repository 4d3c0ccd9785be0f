"""The index as it is now, and who is building it."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.schema import statements

_INDEX = sa.text("""
    select i.indisvalid as valid, pg_relation_size(i.indexrelid) + coalesce((
        select sum(pg_relation_size(relid))::bigint
        from pg_partition_tree(i.indexrelid) where isleaf and relid <> i.indexrelid), 0) as bytes
    from pg_index i where i.indexrelid = to_regclass(:name)
""")
# Another role's progress shows its pid and database only; its lock on the table shows the rest.
_BUILDERS = sa.text("""
    select a.pid, a.usename as role, p.phase,
           coalesce(greatest(p.blocks_done, p.tuples_done), 0) as done,
           coalesce(greatest(p.blocks_total, p.tuples_total), 0) as total,
           p.pid is not null as builds
    from pg_stat_activity a left join (
        select * from pg_stat_progress_create_index c
        where c.datname = current_database()
          and coalesce(c.relid, to_regclass(:table)) = to_regclass(:table)
          and coalesce(nullif(c.index_relid, 0), to_regclass(:name))
              is not distinct from to_regclass(:name)
          and exists (select from pg_locks l
                      where l.pid = c.pid and l.granted and l.relation = to_regclass(:table))
    ) p using (pid)
    where a.pid <> pg_backend_pid() and (p.pid is not null or exists (
        select from pg_locks l
        where l.pid = a.pid and l.locktype = 'advisory' and l.granted and l.objsubid = 1
          and l.database = (select oid from pg_database where datname = current_database())
          and ((l.classid::bigint << 32) | l.objid::bigint) = hashtextextended(:claim, 0)))
    order by p.pid is null, a.pid
""")


@dataclass(frozen=True)
class IndexState:
    """`seconds` and `settings` (of the building session only) are those of a build just done."""

    name: str
    exists: bool
    valid: bool
    bytes: int
    seconds: float = 0.0
    settings: str = ""


@dataclass(frozen=True)
class BuildProgress:
    """PostgreSQL's name of the phase, and before it what the build is expected to take; blocks or
    rows done of their total, 0 when unknown."""

    phase: str
    done: int
    total: int


@dataclass(frozen=True)
class Builder:
    """A session that builds the index, or is about to: then `progress` is None."""

    pid: int
    role: str
    progress: BuildProgress | None

    def __str__(self) -> str:
        doing = f" ({self.progress.phase})" if self.progress else ""
        return f"pid {self.pid} of role {self.role}{doing}"


def state(connection: sa.Connection, migration: Migration) -> IndexState:
    """The index of the plan, as it is now."""
    name = statements.index_name(migration)
    row = connection.execute(_INDEX, {"name": statements.qualified_index(migration)}).one_or_none()
    if row is None:
        return IndexState(name, exists=False, valid=False, bytes=0)
    return IndexState(name, exists=True, valid=row.valid, bytes=row.bytes)


def read_builders(connection: sa.Connection, migration: Migration) -> Sequence[Builder]:
    """All but the connection's own session; with ragkit's claim or without, as an older ragkit, a
    person, or a server process whose client was killed and which goes on building. Those that
    build come first."""
    names = {
        "table": migration.new_place[0], "name": statements.qualified_index(migration),
        "claim": claim_name(migration),
    }  # fmt: skip
    return [
        Builder(
            row.pid, row.role or "unknown",
            BuildProgress(row.phase or "building", row.done, row.total) if row.builds else None,
        )
        for row in connection.execute(_BUILDERS, names)
    ]  # fmt: skip


def claim_name(migration: Migration) -> str:
    """Of the advisory lock of whoever builds the index."""
    return f"ragkit index {statements.qualified_index(migration)}"
