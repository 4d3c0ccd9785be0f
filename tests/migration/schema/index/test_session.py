"""Through a real pooler in transaction mode, where PgBouncer is installed."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError
from ragkit.migration.schema import index
from ragkit.migration.schema.index.session import building_session
from tests.conftest import with_plan
from tests.migration.schema.index.conftest import indexes, wait_for_builders, wait_until

SETTINGS = sa.text("""
    select name, setting from pg_settings
    where source = 'session' and name not in ('application_name', 'client_encoding')
""")
LOCKS = sa.text("select count(*) from pg_locks where locktype = 'advisory'")


def test_an_index_is_built_through_a_pooler_by_the_server_s_own_settings(pooled):
    built = index.build(pooled)
    assert built.valid
    assert "nothing can be set" in built.settings


def test_nothing_of_a_build_outlives_its_transactions_in_the_pool(pooled, bouncer):
    index.build(pooled)
    engines = [sa.create_engine(bouncer) for _ in range(8)]
    connections = [engine.connect() for engine in engines]  # all sessions that the pool has
    pids = set()
    for connection in connections:
        pids.add(connection.scalar(sa.select(sa.func.pg_backend_pid())))
        assert connection.execute(SETTINGS).all() == []
        assert connection.scalar(LOCKS) == 0
    assert len(pids) > 1
    for connection, engine in zip(connections, engines, strict=True):
        connection.close()
        engine.dispose()


def test_processes_behind_a_pooler_and_beside_it_end_with_one_index(
    pooled, vectors, builder, bouncer, database
):
    urls = [bouncer, bouncer, database]
    answers = [process.communicate(timeout=60) for process in [builder(url) for url in urls]]
    failed = [error for out, error in answers if not out.startswith("True ")]
    assert failed == []
    assert [valid for _, valid in indexes(vectors)] == [True]
    assert sum("somebody else's" not in out for out, _ in answers) == 1


def test_the_claim_behind_a_pooler_holds_no_snapshot(pooled, database):
    """CREATE INDEX CONCURRENTLY would wait for it for ever."""
    older = sa.text(
        "select count(*) from pg_stat_activity "
        "where backend_xmin is not null and usename = current_user"
    )
    with building_session(pooled) as session:
        assert session.claim()
        direct = sa.create_engine(database)
        with direct.connect() as connection:
            assert connection.scalar(older) == 1  # this very query
        direct.dispose()


def test_a_busy_pool_gives_a_statement_and_its_values_to_one_session(pooled, bouncer):
    """Outside of a transaction, pg8000 sends them apart: no such statement has values."""
    stop = threading.Event()

    def work() -> None:
        engine = sa.create_engine(bouncer)
        while not stop.is_set():
            with engine.connect() as connection:
                connection.exec_driver_sql("select pg_sleep(0.001)")
        engine.dispose()

    with ThreadPoolExecutor(12) as executor:
        for _ in range(12):
            executor.submit(work)
        try:
            for _ in range(40):
                with building_session(pooled) as session:
                    assert not session.is_kept
        finally:
            stop.set()


def test_a_client_killed_behind_a_pooler_loses_no_build(
    pooled, vectors, builder, bouncer, write_in_progress
):
    """The pooler ends its claim; that its server process builds is seen."""
    with ThreadPoolExecutor(1) as executor, write_in_progress():
        first = builder(bouncer)
        wait_until(lambda: indexes(vectors))
        begun = indexes(vectors)
        first.kill()
        first.wait()
        second = executor.submit(index.build, pooled)
        with pytest.raises(TimeoutError):
            second.result(2)
        assert wait_for_builders(vectors)[0].progress
    assert second.result(30).valid
    assert indexes(vectors) == [(begun[0][0], True)]


def test_a_limit_that_would_end_the_build_is_refused_before(pooled, server, database):
    role = f'alter role "{database.username}" in database "{database.database}"'
    with server.engine().begin() as admin:
        admin.exec_driver_sql(f"{role} set statement_timeout = '30s'")
    with pytest.raises(ConfigError, match=r"statement_timeout is 30s.*set database\.direct"):
        index.build(pooled)
    assert indexes(pooled) == []


@pytest.mark.parametrize("way", ["url", "env"])
def test_the_direct_url_leads_past_the_pooler(pooled, database, monkeypatch, way):
    url = database.render_as_string()
    monkeypatch.setenv("DATABASE_DIRECT_URL", url)
    direct = with_plan(pooled, {"database.direct": url if way == "url" else "env"})
    built = index.build(direct)
    assert built.valid
    assert "nothing can be set" not in built.settings


def test_behind_a_pooler_and_direct_builders_wait_for_each_other(
    pooled, vectors, builder, bouncer, database, write_in_progress
):
    changes = json.dumps({"database.direct": database.render_as_string()})
    with write_in_progress():
        first = builder(bouncer, changes)
        wait_until(lambda: indexes(vectors))
        with building_session(pooled) as session:
            assert not session.is_kept
            assert not session.claim()
    assert first.communicate(timeout=30)[0].startswith("True maintenance_work_mem")


def test_a_direct_url_that_leads_elsewhere_is_refused(vectors, database):
    other = database.set(database="postgres").render_as_string()
    with pytest.raises(ConfigError, match="another server or database"):
        index.build(with_plan(vectors, {"database.direct": other}))


def test_a_direct_url_that_is_missing_is_named(vectors, monkeypatch):
    monkeypatch.delenv("DATABASE_DIRECT_URL", raising=False)
    with pytest.raises(ConfigError, match="set DATABASE_DIRECT_URL"):
        index.build(with_plan(vectors, {"database.direct": "env"}))
