"""The approximate index of the new column, built while the table is written to."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotDone
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.identifiers import quote_identifier
from ragkit.database.sockets import wait_without_limit
from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.schema import statements

POLL_SECONDS = 0.5

_INDEX = sa.text("""
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
    """`seconds` and `settings` (of the building session only) are those of a build just done."""

    name: str
    exists: bool
    valid: bool
    bytes: int
    seconds: float = 0.0
    settings: str = ""


@dataclass(frozen=True)
class BuildProgress:
    """PostgreSQL's name of the phase; blocks or rows done of their total, 0 when unknown."""

    phase: str
    done: int
    total: int


def state(connection: sa.Connection, migration: Migration) -> IndexState:
    """The index of the plan, as it is now."""
    name = statements.index_name(migration)
    qualified = quote_identifier(migration.plan.table.schema_name, name)
    row = connection.execute(_INDEX, {"name": qualified}).one_or_none()
    if row is None:
        return IndexState(name, exists=False, valid=False, bytes=0)
    return IndexState(name, exists=True, valid=row.valid, bytes=row.bytes)


def build(
    migration: Migration, report: Callable[[BuildProgress], object] = lambda _: None
) -> IndexState:
    """Builds the index without blocking writes; replaces an invalid leftover of a killed build.

    `report` is called with the progress twice a second. Does nothing when a valid index is there,
    or when the plan wants none. Raises PhaseError when somebody else builds it, or
    DatabaseError.
    """
    current = _read_state(migration)
    if current.valid or migration.plan.index.type == "none":
        return current
    with exclusive(migration, "build the index"):
        return _build_and_watch(migration, _read_state(migration), report)


def _read_state(migration: Migration) -> IndexState:
    with translate_errors("building the index"), migration.engine.connect() as connection:
        return state(connection, migration)


def _build_and_watch(
    migration: Migration, current: IndexState, report: Callable[[BuildProgress], object]
) -> IndexState:
    if current.valid:  # somebody has built it meanwhile
        return current
    start = time.monotonic()
    with ThreadPoolExecutor(1, "index") as executor:
        building = executor.submit(_build, migration, current)
        while True:
            try:
                settings = building.result(timeout=POLL_SECONDS)
                break
            except NotDone:
                if progress := _progress(migration):
                    report(progress)
    seconds = time.monotonic() - start
    with translate_errors("building the index"), migration.engine.begin() as connection:
        built = replace(state(connection, migration), seconds=seconds, settings=settings)
        ledger.record(connection, migration.id, "index", name=built.name, settings=settings)
    return built


def _build(migration: Migration, current: IndexState) -> str:
    """In a session of its own, which is closed afterwards: its settings affect nobody else."""
    plan, settings = migration.plan, migration.plan.index
    with translate_errors("building the index"), autocommit(migration.engine) as connection:
        connection.detach()
        wait_without_limit(connection)
        run = connection.exec_driver_sql
        for limit in ("statement_timeout", "lock_timeout"):  # the role's would end the build
            run(f"set {limit} = 0")
        run(f"set maintenance_work_mem = '{settings.memory_mb:d}MB'")
        run(f"set max_parallel_maintenance_workers = {settings.workers:d}")
        if current.exists:
            leftover = quote_identifier(plan.table.schema_name, current.name)
            run(f"drop index concurrently {leftover}")
        run(statements.create_index(connection, migration))
    return f"maintenance_work_mem {settings.memory_mb} MB, {settings.workers} parallel workers"


def _progress(migration: Migration) -> BuildProgress | None:
    with translate_errors("watching the index"), migration.engine.connect() as connection:
        row = connection.execute(_PROGRESS, {"table": migration.quoted_table}).first()
    return BuildProgress(row.phase, row.done, row.total) if row else None
