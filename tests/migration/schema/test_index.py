import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.search import DISTANCES, nearest
from tests.conftest import changed, with_plan


def test_an_index_is_built_once_and_valid(filled):
    with filled.engine.connect() as connection:
        assert index.state(connection, filled).exists is False
    first = index.build(filled)
    assert (first.exists, first.valid) == (True, True)
    assert first.bytes > 0
    assert (first.seconds > 0, first.settings) == (
        True, "maintenance_work_mem 256 MB, 1 parallel workers",
    )  # fmt: skip
    second = index.build(filled)
    assert (second.valid, second.bytes, second.seconds) == (True, first.bytes, 0.0)


def test_an_invalid_index_is_replaced(filled):
    built = index.build(filled)
    engine = filled.engine
    oid = sa.text("select indexrelid from pg_index where indexrelid = cast(:n as regclass)")
    with engine.connect() as connection:
        first_oid = connection.scalar(oid, {"n": f'"{built.name}"'})
    _invalidate(filled, built.name)
    with engine.connect() as connection:
        assert index.state(connection, filled).valid is False
    assert index.build(filled).valid is True
    with engine.connect() as connection:
        assert connection.scalar(oid, {"n": f'"{built.name}"'}) != first_oid


def _invalidate(migration, name):
    """Marks the index in the catalogue, as a killed CREATE INDEX CONCURRENTLY does."""
    url = migration.engine.url.set(username="postgres")
    admin = sa.create_engine(url)
    with admin.begin() as connection:
        connection.execute(
            sa.text(
                "update pg_index set indisvalid = false where indexrelid = cast(:n as regclass)"
            ),
            {"n": f'"{name}"'},
        )
    admin.dispose()


def test_a_plan_without_an_index_builds_none(migration):
    expand(migration)
    assert index.build(with_plan(migration, {"index.type": "none"})).exists is False


@pytest.mark.parametrize("index_type", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("distance", list(DISTANCES))
def test_the_query_of_the_app_uses_the_index(filled, new_embedder, distance, index_type):
    """By EXPLAIN: the operator of the query is in the operator class of the index."""
    new = replace(filled.new, distance=distance)
    plan = changed(filled.plan, {"table.distance": distance, "index.type": index_type})
    built = index.build(replace(filled, plan=plan, known_new=new))
    with filled.engine.connect() as connection, plans(connection) as explained:
        connection.exec_driver_sql("set enable_seqscan = off")
        assert len(nearest(connection, new, new_embedder.embed_query("coffee"), ["name"], 3)) == 3
    assert built.name in explained[0]


@contextmanager
def plans(connection):
    """What EXPLAIN says of each query for nearest rows."""
    explained = []

    def explain(conn, cursor, statement, parameters, context, executemany):
        if "ORDER BY" in statement and not statement.startswith("explain"):
            rows = conn.exec_driver_sql(f"explain {statement}", parameters)
            explained.append("\n".join(rows.scalars()))

    sa.event.listen(connection, "before_cursor_execute", explain)
    yield explained
    sa.event.remove(connection, "before_cursor_execute", explain)


def test_timeouts_of_the_role_do_not_end_a_build(filled, server):
    """It waits for transactions that are older than it."""
    name, database = filled.engine.url.username, filled.engine.url.database
    role = f'alter role "{name}" in database "{database}"'
    with server.engine().begin() as admin:
        admin.exec_driver_sql(f"{role} set statement_timeout = '300ms'")
        admin.exec_driver_sql(f"{role} set lock_timeout = '200ms'")
    filled.engine.dispose()
    older = server.engine(database=database)
    with ThreadPoolExecutor(1) as executor, older.connect() as connection:
        connection.exec_driver_sql(f"update {filled.quoted_table} set name = name")
        built = executor.submit(index.build, filled)
        time.sleep(1)
        assert not built.done()
        connection.rollback()
        assert built.result(30).valid
    older.dispose()
