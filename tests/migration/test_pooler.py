"""Through a pooler in transaction mode, where each transaction may get another session: nothing
relies on one, and nothing is left on one."""

import itertools
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import numpy as np
import pg8000
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit, engine_from_env
from ragkit.errors import ConfigError
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.preview.trial import run_trial
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.work.rows import Row
from tests.conftest import (
    NEW,
    OLD,
    PYTHON,
    TEXTS,
    embedder_of,
    environment,
    gates_of,
    make_plan,
    make_table,
)
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins import pgbouncer

pytestmark = pytest.mark.skipif(pgbouncer.PROGRAM is None, reason="no pgbouncer here")
SESSIONS = 3
PLACES = [f"{text} Number {n}." for n in range(40) for text in TEXTS]
WITHOUT_INDEX = {"index.type": "none", "backfill.batch_size": 16, "backfill.in_flight": 2}
SHOPS = make_plan(WITHOUT_INDEX)
BOOKS = make_plan({**WITHOUT_INDEX, "table.name": "Books", "old.model": NEW, "new.model": OLD})
"""From 64 dimensions to 256, and the other from 256 to 64."""
OF_THE_POOLER = (
    "application_name", "client_encoding", "DateStyle", "TimeZone", "standard_conforming_strings",
)  # fmt: skip
"""Settings that pgbouncer itself makes those of the client, for each transaction."""
LEFT = {
    "settings": "select name || ' = ' || setting from pg_settings where source = 'session'",
    "prepared statements": "select name from pg_prepared_statements",
    "cursors": "select name from pg_cursors where name <> ''",
    "channels": "select pg_listening_channels()",
    "locks": "select locktype || ' ' || mode from pg_locks where locktype = 'advisory'",
    "temporary tables": "select relname from pg_class where relpersistence = 't'",
}


@pytest.fixture
def pooled(database) -> Iterator[sa.URL]:
    with pgbouncer.serving(database, SESSIONS) as url:
        yield url


@contextmanager
def connected(url: sa.URL) -> Iterator[sa.Engine]:
    engine = engine_from_env({"DATABASE_URL": url.render_as_string(hide_password=False)})
    try:
        yield engine
    finally:
        engine.dispose()


def left_behind(url: sa.URL, server: sa.Engine) -> dict[str, set[str]]:
    """On every session of the pool: each is taken by a transaction of its own."""
    found: dict[str, set[str]] = {}
    with ExitStack() as stack:
        pids = set()
        for _ in range(SESSIONS):
            engine = stack.enter_context(connected(url))
            connection = stack.enter_context(engine.begin())
            pids.add(connection.exec_driver_sql("select pg_backend_pid()").scalar())
            for what, query in LEFT.items():
                names = set(connection.exec_driver_sql(query).scalars())
                found.setdefault(what, set()).update(names)
        with server.connect() as connection:
            everybody = connection.exec_driver_sql(
                "select pid from pg_stat_activity where pid <> pg_backend_pid() "
                "and datname = current_database() and backend_type = 'client backend'"
            )
            assert pids == set(everybody.scalars())
    found["settings"] = {s for s in found["settings"] if not s.startswith(OF_THE_POOLER)}
    return {what: names for what, names in found.items() if names}


@contextmanager
def busy(url: sa.URL) -> Iterator[Counter]:
    """Other clients of the pool: their transactions take its sessions all the time. Yields what
    they have done."""
    stop, done = threading.Event(), Counter()

    def work(number: int) -> None:
        with connected(url) as engine:
            while not stop.is_set():
                with engine.begin() as connection:
                    connection.execute(sa.text("select :n + pg_backend_pid()"), {"n": number})
                    time.sleep(0.005)
                done[number] += 1

    yield from _beside([lambda n=n: work(n) for n in range(3)], stop, done)


@contextmanager
def writing(url: sa.URL, plan: Plan) -> Iterator[Counter]:
    """An application that inserts, edits and deletes rows."""
    stop, done = threading.Event(), Counter()

    def work() -> None:
        with connected(url) as engine:
            table = Migration.open(plan, engine).table
            for number in itertools.count(1000):
                with engine.begin() as connection:
                    row = {"id": number, "name": "n", "content": f"New place {number}."}
                    connection.execute(sa.insert(table).values(row))
                    edit = sa.update(table).where(table.c.id == number % len(PLACES) + 1)
                    connection.execute(edit.values(content=f"Edited {number}."))
                    connection.execute(sa.delete(table).where(table.c.id == number - 20))
                done["writes"] += 1
                if stop.wait(0.02):
                    return

    yield from _beside([work], stop, done)


def _beside(
    works: list[Callable[[], None]], stop: threading.Event, value: Counter
) -> Iterator[Counter]:
    """An error of the work is one of the test."""
    with ThreadPoolExecutor(len(works)) as pool:
        running = [pool.submit(work) for work in works]
        try:
            yield value
        finally:
            stop.set()
        for work in running:
            work.result(30)


def migrate(url: sa.URL, plan: Plan, seconds: float = 2.0) -> None:
    """All that a pooler's sessions see of a migration, beside an application that writes."""
    old, new, stop = embedder_of(plan.old.model), embedder_of(plan.new.model), threading.Event()
    with connected(url) as engine, ThreadPoolExecutor(1) as executor:
        migration = Migration.open(plan, engine)
        run_trial(migration)
        expand(migration)
        with writing(url, plan) as written:
            list(run_backfill(migration, new))
            with exclusive(migration, "cut over"):
                keep_old_column_current(migration)
            following = executor.submit(lambda: list(follow(migration, new, old, stop)))
            time.sleep(seconds)
        assert written["writes"] > 10
        list(run_backfill(migration, new))
        stop.set()
        following.result(30)
        check_vectors(migration, new)
        assert all(gate.passed for gate in gates_of(migration).values())


@pytest.mark.timeout(120)
def test_two_migrations_share_a_busy_pool_and_leave_nothing_on_it(pooled, engine):
    for plan in (SHOPS, BOOKS):
        make_table(engine, plan, PLACES)
    engine.dispose()
    with busy(pooled) as others, ThreadPoolExecutor(2) as executor:
        running = [executor.submit(migrate, pooled, plan) for plan in (SHOPS, BOOKS)]
        for migration in running:
            migration.result(100)
    assert min(others.values()) > 50
    assert left_behind(pooled, engine) == {}


def test_the_preview_leaves_nothing_on_the_pool(pooled, engine, tmp_path):
    plan = make_plan({"gates.override": "a test", "app.target": "none"})
    make_table(engine, plan, PLACES)
    engine.dispose()
    params = tmp_path / "mine.yaml"
    params.write_text(dump_yaml(plan.model_dump(mode="json", by_alias=True)))
    url = pooled.render_as_string(hide_password=False)
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", "plan", "--params", params], check=False, cwd=tmp_path,
        env=environment(DATABASE_URL=url), capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert left_behind(pooled, engine) == {}


def test_what_is_left_on_a_session_is_found(pooled, engine):
    leaks = {
        "settings": "set maintenance_work_mem = '99MB'",
        "prepared statements": "prepare ours as select 1",
        "channels": "listen ours",
        "locks": "select pg_advisory_lock(1)",
        "temporary tables": "create temporary table ours (id int)",
    }
    with connected(pooled) as pool, pool.begin() as connection:
        for statement in leaks.values():
            connection.exec_driver_sql(statement)
    assert set(left_behind(pooled, engine)) == set(leaks)


def test_statements_outside_of_transactions_leave_nothing_on_the_pool(pooled, engine):
    with connected(pooled) as pool:
        for _ in range(2):
            with autocommit(pool) as connection:
                connection.exec_driver_sql("create table if not exists t (id int)")
                connection.exec_driver_sql("create index concurrently on t (id)")
        with pool.connect() as connection:  # the same one
            connection.exec_driver_sql("create table not_kept (id int)")
            connection.rollback()
            assert not sa.inspect(connection).has_table("not_kept")
    assert left_behind(pooled, engine) == {}


def test_a_write_that_fails_gives_its_session_back(database, engine):
    """Whatever of its data is on the way when the error is answered."""
    make_table(engine, SHOPS, TEXTS)
    rows = [Row(str(n), "text") for n in range(512)]
    vectors = np.ones((len(rows), 64 * 32), np.float32)
    with pgbouncer.serving(database, size=1) as url, connected(url) as pool:
        migration = Migration.open(SHOPS, pool)
        expand(migration)
        with engine.connect() as app:
            app.exec_driver_sql('lock table "Amenities" in share mode')
            connection = pool.connect()
            connection.connection.rollback()
            with pytest.raises(pg8000.DatabaseError, match="55P03"):
                Writer(migration).send(connection, rows, vectors)
            start = time.monotonic()
            with connected(url) as other, other.connect() as connection:
                connection.exec_driver_sql("select 1")
            assert time.monotonic() - start < 2


def test_a_pool_in_statement_mode_is_refused_and_named(database, engine):
    make_table(engine, SHOPS, TEXTS)
    start = time.monotonic()
    with (
        pgbouncer.serving(database, SESSIONS, "statement") as url,
        connected(url) as pool,
        pytest.raises(ConfigError, match="pool_mode") as error,
    ):
        Migration.open(SHOPS, pool)
    assert pgbouncer.PASSWORD not in str(error.value)
    assert time.monotonic() - start < 10


def test_no_step_needs_two_sessions_at_once(database, engine):
    """Who holds one while it waits for another can wait for ever, in a pool that is full."""
    make_table(engine, SHOPS, TEXTS)
    engine.dispose()
    with pgbouncer.serving(database, size=1) as url:
        migrate(url, SHOPS, 1.0)
