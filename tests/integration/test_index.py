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
    assert index.build(filled) == first


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
    none = type(migration)(
        migration.plan.model_copy(update={"index_type": "none"}),
        migration.engine, migration.old, migration.new, migration.key_type,
    )  # fmt: skip
    assert index.build(none).exists is False


@pytest.mark.parametrize("distance", list(DISTANCES))
def test_the_apps_query_uses_it(filled, new_embedder, distance):
    """The operator of the query and the operator class of the index agree, by EXPLAIN."""
    migration = type(filled)(
        filled.plan.model_copy(update={"distance": distance}),
        filled.engine,
        filled.old,
        type(filled.new)(filled.new.table, filled.new.column, filled.new.space, distance),
        filled.key_type,
    )
    index.build(migration)
    statements = []
    with migration.engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")

        @sa.event.listens_for(connection, "before_cursor_execute", retval=True)
        def explain(conn, cursor, statement, parameters, context, executemany):
            statements.append(statement)
            return f"explain {statement}", parameters

        # The plan comes back in place of rows; it has one column, whatever its name.
        with pytest.raises(sa.exc.NoSuchColumnError):
            nearest(connection, migration.new, new_embedder.embed_query("coffee"), ["name"], 3)
        sa.event.remove(connection, "before_cursor_execute", explain)
        vector = str(new_embedder.embed_query("coffee").tolist())
        plan = connection.execute(
            sa.text(
                f'explain select name from "Amenities" where "new vector" is not null '
                f'order by "new vector" {DISTANCES[distance]} cast(:v as vector(64)) limit 3'
            ),
            {"v": vector},
        ).scalars()
        assert any(index.state(connection, migration).name in line for line in plan)
    assert DISTANCES[distance] in statements[0]
