"""The search in a side table: by its own index, and never by the vector of an earlier text."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.engine import autocommit
from ragkit.errors import SpaceNotReady
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.writing.side_writer import SideWriter
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.rows import Row
from ragkit.retrieval import contract
from ragkit.retrieval.search import DISTANCES, OUTDATED, nearest, nearest_sql
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, changed, make_table

ROWS = 3000


@pytest.fixture
def beside(engine, plan, amenities, new_embedder) -> Migration:
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    return migration


def found(migration, vector, limit, **changes):
    with migration.engine.connect() as connection:
        binding = replace(migration.new, **changes)
        return [row["id"] for row in nearest(connection, binding, vector, ["id"], limit)]


@pytest.mark.parametrize("distance", DISTANCES)
def test_it_finds_what_the_column_finds(beside, new_embedder, distance):
    vector = new_embedder.embed_query("a silent room")
    made = {n: new_embedder.embed_query(text) for n, text in enumerate(TEXTS, 1)}
    expected = sorted(made, key=lambda n: -float(made[n] @ vector))[:3]
    assert found(beside, vector, 3, distance=distance) == expected


def test_the_index_of_the_side_table_is_used(engine, plan):
    """And each candidate's row is found by its key."""
    texts = [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(ROWS)]
    make_table(engine, plan, texts)
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    vectors = np.random.default_rng(1).normal(size=(ROWS, 64)).astype(np.float32)
    for first in range(0, ROWS, 250):
        rows = [Row(str(n + 1), texts[n]) for n in range(first, first + 250)]
        assert SideWriter(migration).write(rows, vectors[first : first + 250]) == 250
    assert index.build(migration).valid
    binding = migration.new
    sql = nearest_sql(binding.table, binding.column, binding.distance, ("id",), binding.side)
    literal = str(vectors[7].tolist())
    with engine.connect() as connection:
        shown = sql.replace("$1", f"'{literal}'").replace("$2", "3")
        lines = connection.exec_driver_sql(f"explain {shown}").scalars().all()
        name = index.state(connection, migration).name
    told = "\n".join(lines)
    assert f"Index Scan using {name}" in told
    assert "Seq Scan" not in told
    assert found(migration, vectors[7], 3)[0] == 8


def test_a_vector_of_an_earlier_text_takes_no_place(beside, engine, new_embedder):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" disable trigger all')
        connection.exec_driver_sql("update \"Amenities\" set content = 'Now.' where id = 3")
        connection.exec_driver_sql('delete from "Amenities" where id = 4')
    vector = new_embedder.embed_query(TEXTS[2])
    rows = found(beside, vector, 4)
    assert sorted(rows) == [1, 2, 5, 6]


def test_more_outdated_vectors_than_are_expected_cost_time_and_no_rows(engine, plan):
    texts = [f"Text {n}." for n in range(3 * OUTDATED)]
    make_table(engine, plan, texts)
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    vectors = np.random.default_rng(1).normal(size=(len(texts), 64)).astype(np.float32)
    vectors[: 2 * OUTDATED] = vectors[0]
    rows = [Row(str(n), text) for n, text in enumerate(texts, 1)]
    SideWriter(migration).write(rows, vectors)
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" disable trigger all')
        edit = sa.text("update \"Amenities\" set content = 'Now.' where id <= :last")
        connection.execute(edit, {"last": 2 * OUTDATED})
    assert len(found(migration, vectors[0], 3)) == 3


def test_rows_beyond_the_cutoff_are_not_returned(beside, new_embedder):
    vector = new_embedder.embed_query(TEXTS[3])
    assert found(beside, vector, 6, cutoff=0.001) == [4]


def test_the_contract_says_where_the_vectors_are(beside, engine):
    with engine.connect() as connection:
        bound = contract.read_bindings(connection, "public.Amenities")
    assert [b.side for b in bound if b.column == "new vector"] == [beside.new_side]
    assert [b.stored_in for b in bound if b.column == "embedding"] == [
        ("public.Amenities", "embedding")
    ]


def test_the_service_says_that_the_side_table_is_gone(beside, engine, new_embedder):
    service = SearchService(engine, new_embedder, "public.Amenities", ["name"])
    assert service.search("a silent room", 1).rows[0]["name"] == "Quiet Room"
    with engine.begin() as connection:
        connection.exec_driver_sql(f"drop table {beside.new_side.name}")
    fresh = SearchService(engine, new_embedder, "public.Amenities", ["name"])
    with pytest.raises(SpaceNotReady, match=r"has no table ragkit\.vectors_"):
        fresh.search("a silent room", 1)


@pytest.mark.parametrize("may_read", [True, False])
def test_who_may_read_the_table_may_read_its_vectors_and_nobody_else(
    server, admin, database, engine, plan, amenities, new_embedder, may_read
):
    role = f"reader {may_read}"
    with autocommit(admin) as connection:
        connection.exec_driver_sql(f'create role "{role}" login')
    if may_read:
        with engine.begin() as connection:
            connection.exec_driver_sql(f'grant select on "Amenities" to "{role}"')
    migration = Migration.open(changed(plan, {"new.placement": "side_table"}), engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    reader = server.engine(role, database.database)
    service = SearchService(reader, new_embedder, "public.Amenities", ["name"])
    if may_read:
        assert service.search("a silent room", 1).rows[0]["name"] == "Quiet Room"
    with reader.connect() as connection, nullcontext() if may_read else denied():
        connection.exec_driver_sql(f"select count(*) from {migration.new_side.name}")
    reader.dispose()


def denied():
    return pytest.raises(DBAPIError, match="permission denied")
