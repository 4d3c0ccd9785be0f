"""Which rows a sample is made of."""

import numpy as np
import sqlalchemy as sa

from ragkit.evaluation.bridge.rows import read_keys, read_spread
from ragkit.migration.inspection.whose import vector_sample
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, column_of, make_table, set_new
from tests.migration.partitions.tables import expanded


def opened(engine, plan, texts):
    make_table(engine, plan, texts)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def test_rows_have_a_text_and_an_old_vector(engine, plan):
    migration = opened(engine, plan, [*TEXTS, None, " \n"])
    with engine.begin() as connection:
        change = sa.update(migration.table).where(migration.key == 2)
        connection.execute(change.values({plan.old.column: None}))
    rows = read_spread(migration, 100)
    assert {row.key for row in rows} == {"1", "3", "4", "5", "6"}
    old = column_of(engine, migration, plan.old.column)
    for row in rows:
        assert row.text == TEXTS[int(row.key) - 1]
        np.testing.assert_allclose(row.old, old[int(row.key)], atol=1e-7)
        assert (row.new, row.is_refused) == (None, False)
    assert {row.key for row in read_keys(migration, ["1", "2", "7", "99"])} == {"1"}


def test_those_with_a_new_vector_come_first(engine, plan):
    migration = opened(engine, plan, TEXTS)
    set_new(migration, np.eye(64)[:2])
    first, second, third, *_ = read_spread(migration, 100)
    assert {first.key, second.key} == {"1", "2"}
    np.testing.assert_array_equal(first.new, np.eye(64)[int(first.key) - 1])
    assert third.new is None
    assert [row.key for row in read_spread(migration, 2)] == [first.key, second.key]


def test_a_text_that_was_refused_says_so_until_it_changes(engine, plan):
    migration = opened(engine, plan, TEXTS)
    dead_letters.add(migration, {"3": (TEXTS[2], "too long")})
    assert {row.key for row in read_spread(migration, 9) if row.is_refused} == {"3"}
    with engine.begin() as connection:
        row = sa.update(migration.table).where(migration.key == 3)
        connection.execute(row.values(content="Another text."))
    assert not any(row.is_refused for row in read_spread(migration, 9))


def test_of_a_large_table_the_same_pages_are_read_each_time(engine, plan, monkeypatch):
    monkeypatch.setattr(vector_sample, "BLOCK_ROWS", 100)
    migration = opened(engine, plan, [f"Place {n} is a shop." for n in range(400)])
    with engine.begin() as connection:
        connection.exec_driver_sql(f"analyze {migration.quoted_table}")
    rows = read_spread(migration, 1000)
    assert 30 < len(rows) < 250
    keys = {int(row.key) for row in rows}
    assert min(keys) < 130
    assert max(keys) > 270
    assert [row.key for row in read_spread(migration, 1000)] == [row.key for row in rows]
    monkeypatch.setattr(vector_sample, "BLOCK_ROWS", 400)
    assert len(read_spread(migration, 1000)) == 400


def test_a_partitioned_table_is_read_as_one(engine, plan, monkeypatch):
    migration = expanded(engine, plan, [f"Place {n} is a shop." for n in range(400)])
    assert len(read_spread(migration, 1000)) == 400
    with engine.begin() as connection:
        connection.exec_driver_sql(f"analyze {migration.quoted_table}")
    monkeypatch.setattr(vector_sample, "BLOCK_ROWS", 200)
    assert 50 < len(read_spread(migration, 1000)) < 400
