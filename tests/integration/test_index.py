from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.migration import backfill, index, schema
from ragkit.search import DISTANCES, nearest


@pytest.fixture
def filled(migration, new_embedder):
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    return migration


def test_it_is_built_once_and_valid(filled):
    with filled.engine.connect() as connection:
        assert index.state(connection, filled).exists is False
    first = index.build(filled)
    assert (first.exists, first.valid) == (True, True)
    assert first.bytes > 0
    assert (first.seconds > 0, first.settings) == (
        True, "maintenance_work_mem 256 MB, 1 parallel workers",
    )  # fmt: skip
    again = index.build(filled)
    assert (again.valid, again.bytes, again.seconds) == (True, first.bytes, 0.0)


def test_an_invalid_leftover_is_replaced(filled):
    built = index.build(filled)
    engine = filled.engine
    mark = sa.text("select indexrelid from pg_index where indexrelid = cast(:n as regclass)")
    with engine.connect() as connection:
        first = connection.scalar(mark, {"n": f'"{built.name}"'})
    _invalidate(filled, built.name)
    with engine.connect() as connection:
        assert index.state(connection, filled).valid is False
    assert index.build(filled).valid is True
    with engine.connect() as connection:
        assert connection.scalar(mark, {"n": f'"{built.name}"'}) != first


def _invalidate(migration, name):
    """As a killed CREATE INDEX CONCURRENTLY leaves it: the catalogue says so, to a superuser."""
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


def test_a_plan_without_an_index(migration):
    schema.expand(migration)
    plan = migration.plan.model_copy(update={"index_type": "none"})
    assert index.build(replace(migration, plan=plan)).exists is False


@pytest.mark.parametrize("index_type", ["hnsw", "ivfflat"])
@pytest.mark.parametrize("distance", list(DISTANCES))
def test_the_apps_query_uses_it(filled, new_embedder, distance, index_type):
    """The operator of the query and the operator class of the index agree, by EXPLAIN."""
    new = replace(filled.new, distance=distance)
    plan = filled.plan.model_copy(update={"distance": distance, "index_type": index_type})
    built = index.build(replace(filled, plan=plan, new=new))
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        sa.event.listen(connection, "before_cursor_execute", _explain, retval=True)
        rows = nearest(connection, new, new_embedder.embed_query("coffee"), ["name"], 3)
    assert built.name in " ".join(str(value) for row in rows for value in row.values())


def _explain(conn, cursor, statement, parameters, context, executemany):
    return f"explain {statement}", parameters
