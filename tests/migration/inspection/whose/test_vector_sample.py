import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.inspection.whose import vector_sample
from ragkit.migration.inspection.whose.vector_sample import (
    SAMPLE_ROWS,
    SHORT_CHARACTERS,
    VectorSample,
    sample_old,
)
from ragkit.migration.migration import Migration
from tests.conftest import TEXTS, make_plan, make_table


def test_it_holds_the_plans_texts_first_then_the_tables_others(migration):
    sample = sample_old(migration)
    assert list(sample.texts) == ["content", "name", "description"]
    assert sorted(sample.texts["content"]) == sorted(TEXTS)
    assert sample.vectors.shape == (len(TEXTS), 256)
    assert sample_old(migration).keys == sample.keys


def test_rows_without_a_vector_or_without_any_text_are_left_out(migration, engine):
    with engine.begin() as connection:
        connection.exec_driver_sql('update "Amenities" set embedding = null where id = 1')
        connection.exec_driver_sql(
            "update \"Amenities\" set content = ' ', name = null, description = '' where id = 2"
        )
    sample = sample_old(migration)
    assert sorted(sample.keys) == ["3", "4", "5", "6"]


def test_short_texts_are_preferred(engine):
    plan, long = make_plan(), "x" * SHORT_CHARACTERS
    make_table(engine, plan, [*(f"{long} {n}" for n in range(40)), *TEXTS])
    sample = sample_old(Migration.open(plan, engine))
    assert len(sample.keys) == SAMPLE_ROWS
    assert set(TEXTS) <= set(sample.texts["content"])
    assert not sample.is_short
    assert sample.first(len(TEXTS)).is_short


def test_of_a_large_table_a_few_pages_are_read_and_always_the_same(engine, monkeypatch):
    plan = make_plan()
    make_table(engine, plan, [f"{n} of many" for n in range(600)])
    with autocommit(engine) as connection:
        connection.exec_driver_sql('analyze "Amenities"')
    migration = Migration.open(plan, engine)
    monkeypatch.setattr(vector_sample, "BLOCK_ROWS", 150)
    seen: list[str] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda c, cursor, statement, *_: seen.append(statement)
    )
    sample = sample_old(migration)
    assert any("TABLESAMPLE system(" in statement for statement in seen)
    assert len(sample.keys) == SAMPLE_ROWS
    assert sample_old(migration).keys == sample.keys


@pytest.mark.parametrize(("zeros", "tail"), [(0, 0), (5, 5), (8, 8)])
def test_zeros_at_the_end_of_every_vector_are_counted(zeros, tail):
    vectors = np.ones((3, 8), np.float32)
    vectors[:, 8 - zeros :] = 0
    assert VectorSample(["a", "b", "c"], {}, vectors).zero_tail == tail
