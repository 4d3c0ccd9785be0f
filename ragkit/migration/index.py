"""The approximate index of the new column, built while the table is written to."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, replace

import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC

from ragkit.database import autocommit, plain_errors, quoted
from ragkit.migration.subject import Migration
from ragkit.search import column_type

OPERATOR_CLASSES = {"cosine": "cosine_ops", "l2": "l2_ops", "inner_product": "ip_ops"}
ROWS_PER_LIST = 1000
"""IVFFlat's lists, as pgvector's README advises up to a million rows."""
POLL_SECONDS = 0.5

_FOUND = sa.text("""
    select i.indisvalid as valid, pg_relation_size(i.indexrelid) as bytes
    from pg_index i where i.indexrelid = to_regclass(:name)
""")
_PROGRESS = sa.text("""
    select phase, greatest(blocks_done, tuples_done) as done,
           greatest(blocks_total, tuples_total) as total
    from pg_stat_progress_create_index where relid = to_regclass(:table)
""")


@dataclass(frozen=True)
class IndexState:
    """`seconds` and `settings` (of the building session alone) are those of a build just done."""

    name: str
    exists: bool
    valid: bool
    bytes: int
    seconds: float = 0.0
    settings: str = ""


@dataclass(frozen=True)
class Building:
    """The phase as PostgreSQL names it; blocks or rows done of their total, 0 where unknown."""

    phase: str
    done: int
    total: int


def state(connection: sa.Connection, migration: Migration) -> IndexState:
    name = _name(migration)
    found = connection.execute(
        _FOUND, {"name": quoted(migration.plan.table_schema, name)}
    ).one_or_none()
    return IndexState(name, True, *found) if found else IndexState(name, False, False, 0)


def build(migration: Migration, tell: Callable[[Building], None] = lambda _: None) -> IndexState:
    """CREATE INDEX CONCURRENTLY; an invalid leftover of a killed build is replaced. `tell` is
    called with the progress twice a second.

    Nothing happens when a valid one is there, or when the plan wants none.
    """
    with plain_errors("building the index"), migration.engine.connect() as connection:
        found = state(connection, migration)
    if found.valid or migration.plan.index_type == "none":
        return found
    began = time.monotonic()
    with ThreadPoolExecutor(1, "index") as executor:
        building = executor.submit(_build, migration, found)
        while True:
            try:
                settings = building.result(timeout=POLL_SECONDS)
                break
            except NotYet:
                _tell_progress(migration, tell)
    with plain_errors("building the index"), migration.engine.begin() as connection:
        built = replace(
            state(connection, migration), seconds=time.monotonic() - began, settings=settings
        )
        migration.record(connection, "index", name=built.name, settings=settings)
    return built


def _build(migration: Migration, found: IndexState) -> str:
    """In a session of its own, which is closed: its settings reach nobody else."""
    plan = migration.plan
    name, table = quoted(found.name), quoted(plan.table_schema, plan.table)
    with plain_errors("building the index"), autocommit(migration.engine) as connection:
        connection.detach()
        run = connection.exec_driver_sql
        run(f"set maintenance_work_mem = '{plan.index_memory_mb:d}MB'")
        run(f"set max_parallel_maintenance_workers = {plan.index_workers:d}")
        if found.exists:
            run(f"drop index concurrently {quoted(plan.table_schema, found.name)}")
        run(f"create index concurrently {name} on {table} using {_method(connection, migration)}")
    return f"maintenance_work_mem {plan.index_memory_mb} MB, {plan.index_workers} parallel workers"


def _method(connection: sa.Connection, migration: Migration) -> str:
    plan, kind = migration.plan, column_type(migration.new.space.dimension)
    prefix = "halfvec" if isinstance(kind, HALFVEC) else "vector"
    column = f"({quoted(plan.new_column)} {prefix}_{OPERATOR_CLASSES[plan.distance]})"
    if plan.index_type == "hnsw":
        return f"hnsw {column}"
    rows = connection.scalar(sa.select(sa.func.count()).select_from(migration.table))
    return f"ivfflat {column} with (lists = {max(1, rows // ROWS_PER_LIST):d})"


def _tell_progress(migration: Migration, tell: Callable[[Building], None]) -> None:
    table = quoted(migration.plan.table_schema, migration.plan.table)
    with plain_errors("watching the index"), migration.engine.connect() as connection:
        found = connection.execute(_PROGRESS, {"table": table}).first()
    if found:
        tell(Building(*found))


def _name(migration: Migration) -> str:
    plan = migration.plan
    return f"{plan.table}_{plan.new_column}_{plan.index_type}"[-63:]
