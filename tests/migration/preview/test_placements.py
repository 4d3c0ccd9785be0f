"""Both placements are measured on the user's own table, and the measure fits what then happens."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.preview.placements import SAMPLED_ROWS, measure_placements
from ragkit.migration.preview.trial import run_trial
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, column_of, make_table, with_plan


@pytest.fixture
def large(engine, plan) -> Migration:
    """More rows than are sampled, with a live index on the old column."""
    texts = [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(2 * SAMPLED_ROWS)]
    make_table(engine, plan, texts)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw (embedding vector_cosine_ops)'
        )
    return Migration.open(plan, engine)


def fastest(migration):
    """The shortest time of each placement in some measurements: the machine may be busy."""
    measured = [measure_placements(migration, 1000.0) for _ in range(7)]
    seconds = {
        name: min(getattr(each, name).seconds for each in measured)
        for name in ("column", "side_table")
    }
    parts = {name: replace(getattr(measured[0], name), seconds=seconds[name]) for name in seconds}
    return replace(measured[0], **parts)


def test_a_live_index_makes_the_column_slow_and_not_the_side_table(large, engine):
    with_index = fastest(large)
    with engine.begin() as connection:
        connection.exec_driver_sql('drop index "Amenities_embedding_idx"')
    without = fastest(large)
    assert with_index.column.seconds > 1.1 * without.column.seconds
    assert with_index.column.seconds > 1.2 * with_index.side_table.seconds
    assert with_index.column.wal_bytes > with_index.side_table.wal_bytes > 4 * 64
    assert with_index.column.disk_bytes > 1000
    assert 0 < with_index.hot_share < 1


def test_nothing_is_left_or_changed(migration, engine):
    before = column_of(engine, migration, "embedding")
    run_trial(migration)
    assert "ragkit" not in sa.inspect(engine).get_schema_names()
    after = column_of(engine, migration, "embedding")
    assert all(np.array_equal(after[key], vector) for key, vector in before.items())
    assert "new vector" not in {c["name"] for c in sa.inspect(engine).get_columns("Amenities")}


@pytest.mark.parametrize("placement", ["column", "side_table"])
def test_it_is_measured_after_expand_too(engine, plan, amenities, placement):
    migration = Migration.open(changed(plan, {"new.placement": placement}), engine)
    expand(migration)
    placements = measure_placements(migration, 1000.0)
    assert placements.column.seconds > 0
    assert placements.side_table.disk_bytes > 0
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from ragkit.queue")) == 0


def test_the_cost_is_that_of_the_plans_placement(migration):
    placements = measure_placements(migration, 1000.0)
    assert placements.of(migration) is placements.column
    beside = with_plan(migration, {"new.placement": "side_table"})
    assert placements.of(beside) is placements.side_table


def test_a_table_without_texts_takes_nothing(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = ' '")
    assert measure_placements(migration, 1000.0).column.seconds == 0
