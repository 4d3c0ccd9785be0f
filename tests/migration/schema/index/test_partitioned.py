"""The index of a partitioned table: built leaf by leaf, and resumed after a kill."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import DatabaseError
from ragkit.migration import ledger
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.partitions.tree import read_leaves
from ragkit.migration.preview.steps import plan_statements
from ragkit.migration.schema import index, statements
from ragkit.migration.schema.index.partitioned import read_parts
from ragkit.retrieval.search import nearest
from tests.conftest import TEXTS, changed, set_new
from tests.migration.partitions.tables import HASH, RANGE, expanded, run
from tests.migration.preview.test_steps import CHANGES, _plain
from tests.migration.schema.index.conftest import wait_for_builders, wait_until

INDEXES = """
    select i.indrelid::regclass::text, i.indexrelid::bigint, i.indisvalid, c.relispartition
    from pg_index i join pg_class c on c.oid = i.indexrelid
    join pg_am m on m.oid = c.relam where m.amname = 'hnsw' order by 1
"""


@pytest.fixture
def filled(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS)
    list(run_backfill(migration, new_embedder))
    return migration


def indexes(engine):
    """By table: oid, whether it is valid, whether it is attached."""
    with engine.connect() as connection:
        return {row[0]: tuple(row)[1:] for row in connection.exec_driver_sql(INDEXES)}


def parts_of(migration):
    with migration.engine.connect() as connection:
        return {part.relation.name: part for part in read_parts(connection, migration)}


def test_each_partition_has_its_index_and_the_whole_one_is_valid(filled, engine):
    with engine.connect() as connection:
        assert index.state(connection, filled).exists is False
    built = index.build(filled)
    assert (built.exists, built.valid) == (True, True)
    assert built.bytes > 0
    assert built.seconds > 0
    found = indexes(engine)
    assert found.keys() == {
        '"Amenities"', '"Part 0"', '"Part 1"', '"Part 2"', '"Part 2 low"', '"Part 2 high"'
    }  # fmt: skip
    assert all(valid for _, valid, _ in found.values())
    assert [table for table, (*_, attached) in found.items() if not attached] == ['"Amenities"']
    again = index.build(filled)
    assert (again.valid, again.seconds, indexes(engine)) == (True, 0.0, found)
    with engine.connect() as connection:
        events = [e for e in ledger.events(connection, filled.id) if e.kind == "index"]
    assert len(events) == 4


def test_the_statements_are_those_of_the_preview(filled, engine):
    executed = []

    def note(connection, cursor, statement, *_):
        if CHANGES.match(statement.strip()):
            executed.append(_plain(statement))

    told = [_plain(s.sql) for s in plan_statements(filled, "", "") if " index " in s.sql]
    sa.event.listen(engine, "before_cursor_execute", note)
    index.build(filled)
    sa.event.remove(engine, "before_cursor_execute", note)
    assert executed == told
    assert len(told) == 4 + 2 + 5


def test_a_build_that_was_killed_is_resumed(filled, engine, server):
    """The server process is ended while it builds the index of one partition, which waits for a
    writer: what is attached stays, and what is invalid is built again."""
    run(engine, statements.create_partitioned_index(filled))
    admin = server.engine(database=engine.url.database)
    part = parts_of(filled)["Part 1"].table
    with engine.connect() as writer, ThreadPoolExecutor() as executor:
        writer.exec_driver_sql('update "Part 1" set name = name')
        building = executor.submit(index.build, filled)
        (builder, *_) = wait_for_builders(part)
        wait_until(lambda: '"Part 1"' in indexes(engine))
        with admin.connect() as connection:
            connection.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": builder.pid})
        with pytest.raises(DatabaseError):
            building.result(timeout=60)
        writer.rollback()
    admin.dispose()
    before = indexes(engine)
    assert before['"Part 0"'][1:] == (True, True)
    assert before['"Part 1"'][1:] == (False, False)
    assert index.build(filled).valid
    after = indexes(engine)
    assert after['"Part 0"'] == before['"Part 0"']
    assert after['"Amenities"'][0] == before['"Amenities"'][0]
    assert after['"Part 1"'][0] != before['"Part 1"'][0]


def test_an_index_that_is_built_and_not_attached_is_attached(filled, engine):
    """As a kill between the two leaves it."""
    part = parts_of(filled)["Part 2 low"].table
    run(engine, statements.create_index(part).replace(" concurrently", ""))
    before = indexes(engine)['"Part 2 low"']
    assert index.build(filled).valid
    assert indexes(engine)['"Part 2 low"'] == (before[0], True, True)


def test_partitions_that_come_bring_their_index_and_are_left_alone(engine, plan, new_embedder):
    migration = expanded(engine, plan, TEXTS, RANGE)
    list(run_backfill(migration, new_embedder))
    run(engine, statements.create_partitioned_index(migration))
    run(engine, 'create table last partition of "Amenities" for values from (1000) to (2000)')
    before = indexes(engine)
    assert (before['"Amenities"'][1], before["last"][2]) == (False, True)
    assert index.build(migration).valid
    assert indexes(engine)["last"] == before["last"]


def test_the_search_uses_the_indexes_of_the_partitions(engine, plan):
    migration = expanded(engine, plan, [f"Place {n}." for n in range(600)])
    vectors = np.random.default_rng(1).normal(size=(600, 64))
    set_new(migration, vectors)
    assert index.build(migration).valid
    with engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        connection.exec_driver_sql("analyze")
        found = nearest(connection, migration.new, vectors[7], ["id"], 3, 3000)
        assert found[0]["id"] == 8
        explained = json.dumps(connection.exec_driver_sql(
            'explain (format json) select id from "Amenities" '
            f"order by \"new vector\" <=> '{vectors[7].tolist()}' limit 3"
        ).scalar())  # fmt: skip
        for leaf in read_leaves(connection, migration.quoted_table):
            assert f"{leaf.name}_new vector_hnsw" in explained


def test_builds_that_run_together_build_each_index_once(filled, engine):
    with ThreadPoolExecutor() as executor:
        both = [executor.submit(index.build, filled) for _ in range(2)]
        assert [done.result(timeout=60).valid for done in both] == [True, True]
    with engine.connect() as connection:
        events = [e for e in ledger.events(connection, filled.id) if e.kind == "index"]
    assert len(events) == len({e.detail["name"] for e in events}) == 4
    assert len(indexes(engine)) == 6


def test_ivfflat_has_the_lists_of_each_partition(engine, plan, new_embedder):
    migration = expanded(engine, changed(plan, {"index.type": "ivfflat"}), TEXTS)
    list(run_backfill(migration, new_embedder))
    assert index.build(migration).valid


def test_a_table_that_others_write_is_waited_for_with_a_deadline(filled, engine):
    plan = changed(filled.plan, {"database.ddl_seconds": 1.0, "database.lock_timeout_ms": 100})
    with engine.connect() as connection:
        connection.exec_driver_sql(f"update {filled.quoted_table} set name = name where id = 1")
        with pytest.raises(DatabaseError, match="the table was locked by others for 1 s"):
            index.build(replace(filled, plan=plan))
    assert index.build(filled).valid


def test_names_of_indexes_are_short_and_different(engine, plan):
    long = "a" * 50
    ways = tuple(s.replace("Part ", f"{long} ") for s in HASH)
    migration = expanded(engine, plan, TEXTS, ways)
    with engine.connect() as connection:
        names = {
            statements.index_name(part.table) for part in read_parts(connection, migration)
        }  # fmt: skip
    assert len(names) == 6
    assert max(map(len, names)) <= 63
    assert index.build(migration).valid
