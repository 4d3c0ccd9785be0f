"""Builds the index once, however many ask for it, without blocking writes.

Whoever builds has the index's claim; who finds it taken waits, then uses the finished index or
takes over. An index that somebody builds, with the claim or without, is never dropped.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, replace

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.translate import server_fields, translate_errors
from ragkit.errors import DatabaseUnavailable, PhaseError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.schema import statements
from ragkit.migration.schema.index.current import (
    Builder,
    BuildProgress,
    IndexState,
    read_builders,
    state,
)
from ragkit.migration.schema.index.estimate import Estimate, estimate_build, estimate_rows
from ragkit.migration.schema.index.session import BuildingSession, building_session
from ragkit.migration.schema.index.sizing import SHARED_MEMORY, Sizing, choose_sizing

POLL_SECONDS = 0.5
PATIENCE_SECONDS = 600.0
"""How long somebody else's build is waited for while it makes no progress."""
log = logging.getLogger(__name__)

Report = Callable[[BuildProgress], object]


def build(migration: Migration, report: Report = lambda _: None) -> IndexState:
    """Builds the index without blocking writes; replaces an invalid leftover of a killed build.

    `report` is called with what the build is expected to take, then with its progress twice a
    second, also with that of somebody else's build, which is waited for. Does nothing when a valid
    index is there, or when the plan wants none. Raises PhaseError when somebody else's build makes
    no progress, ConfigError when the way to the database does not let one be built, or
    DatabaseError.
    """
    current = _look(migration)[1]
    if current.valid or migration.plan.index.type == "none":
        return current
    with building_session(migration) as session:
        current = _wait_for_claim(migration, session, report)
        if current.valid:  # somebody has built it meanwhile
            return current
        return _build_and_watch(migration, session, current, report)


def _wait_for_claim(migration: Migration, session: BuildingSession, report: Report) -> IndexState:
    """The index once nobody builds it: valid, or to be built under the claim."""
    seen, deadline = None, 0.0
    while True:
        with translate_errors("building the index"):
            is_mine = session.claim()
        builders, current = _look(migration)
        others = [builder for builder in builders if builder.progress or not is_mine]
        if current.valid or (is_mine and not others):
            return current
        if (now := (current, others)) != seen:
            seen, deadline = now, time.monotonic() + PATIENCE_SECONDS
        elif time.monotonic() > deadline:
            raise _no_progress(current.name, others)
        if not _report(report, others) and others:
            report(BuildProgress(f"waiting for {others[0]}", 0, 0))
        time.sleep(POLL_SECONDS)
        session.keep_alive()


def _look(migration: Migration) -> tuple[Sequence[Builder], IndexState]:
    """In this order: the index of a builder that has just ended is seen as it ended."""
    with translate_errors("building the index"), migration.engine.connect() as connection:
        builders = read_builders(connection, migration)
        return builders, state(connection, migration)


def _no_progress(name: str, builders: Sequence[Builder]) -> PhaseError:
    who = ", ".join(map(str, builders)) or "a session that this role may not see"
    return PhaseError(
        f"index {name} is being built by {who}, without progress for {PATIENCE_SECONDS:.0f} s: "
        "wait for its end, or end it (select pg_terminate_backend(pid)), and run this step again; "
        "nothing was changed"
    )


def _build_and_watch(
    migration: Migration, session: BuildingSession, current: IndexState, report: Report
) -> IndexState:
    with translate_errors("sizing the index build"), migration.engine.connect() as connection:
        rows = estimate_rows(connection, migration)
        sizing = choose_sizing(connection, migration, rows, may_set=session.is_kept)
    estimate = estimate_build(migration, rows, sizing)
    log.info("building %s: %s; %s", current.name, estimate.describe(), _describe(sizing))
    report(BuildProgress(estimate.describe(), 0, 0))
    start = time.monotonic()
    with ThreadPoolExecutor(1, "index") as executor:
        building = executor.submit(_create, migration, session, current, sizing)
        try:
            while not wait([building], POLL_SECONDS).done:
                session.keep_alive()
                _watch(migration, report)
        except BaseException:
            _cancel(migration, building)
            raise
        settings = _describe(building.result())
    seconds = time.monotonic() - start
    with translate_errors("building the index"), migration.engine.begin() as connection:
        built = replace(state(connection, migration), seconds=seconds, settings=settings)
        _record(connection, migration, built, estimate)
    return built


def _cancel(migration: Migration, building: Future[Sizing]) -> None:
    """An interrupted build would go on at the server, and this process would wait for it."""
    while not wait([building], POLL_SECONDS).done:
        with suppress(DBAPIError), migration.engine.connect() as connection:
            for builder in read_builders(connection, migration):
                if builder.progress:
                    connection.scalar(sa.select(sa.func.pg_cancel_backend(builder.pid)))


def _create(
    migration: Migration, session: BuildingSession, current: IndexState, sizing: Sizing
) -> Sizing:
    """By the sizing, or by one process where the server's shared memory is too small for several.
    Answers the sizing that was used."""
    with translate_errors("building the index"):
        try:
            _run(migration, session, current.exists, sizing)
        except DBAPIError as error:
            too_small = SHARED_MEMORY in server_fields(error).get("M", "")
            if not (too_small and sizing.workers and session.is_kept):
                raise
            sizing = sizing.alone()
            log.warning("the index build begins again: %s", sizing.why)
            _run(migration, session, True, sizing)
    return sizing


def _run(migration: Migration, session: BuildingSession, is_leftover: bool, sizing: Sizing) -> None:
    if session.is_kept:
        sizing.apply(session.connection)
    run = session.connection.exec_driver_sql
    if is_leftover:
        run(f"drop index concurrently if exists {statements.qualified_index(migration)}")
    run(statements.create_index(migration, sizing.lists))


def _watch(migration: Migration, report: Report) -> None:
    """A look that fails ends no build."""
    try:
        _report(report, _look(migration)[0])
    except DatabaseUnavailable:
        log.warning("the index build goes on, its progress cannot be seen")


def _report(report: Report, builders: Sequence[Builder]) -> bool:
    """Whether there was progress to report."""
    progress = next((b.progress for b in builders if b.progress), None)
    if progress:
        report(progress)
    return progress is not None


def _describe(sizing: Sizing) -> str:
    lists = f", {sizing.lists:,} lists" if sizing.lists else ""
    return (
        f"maintenance_work_mem {sizing.memory_mb:,} MB, {sizing.workers} parallel workers{lists} "
        f"({sizing.why})"
    )


def _record(
    connection: sa.Connection, migration: Migration, built: IndexState, estimate: Estimate
) -> None:
    took = {"seconds": round(built.seconds, 1), "bytes": built.bytes}
    ledger.record(
        connection, migration.id, "index", name=built.name, settings=built.settings, **took,
        estimate=asdict(estimate),
    )  # fmt: skip
