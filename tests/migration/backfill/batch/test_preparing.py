from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.embedding.catalogue import find_model
from ragkit.migration.backfill.batch import preparing
from ragkit.migration.backfill.batch.preparing import KeyedRow, cut, prepare
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.migration.work.tables import BATCH_JOB
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS, make_table
from tests.migration.partitions.tables import expanded

MODEL = replace(find_model("text-embedding-3-small"), batch_texts=300)


@pytest.fixture
def table(engine, plan):
    """Of some hundred pages."""
    make_table(engine, plan, TEXTS[:1])
    migration = Migration.open(plan, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', repeat('text ', 100) || n from generate_series(2, 2000) n"
        )
    expand(migration)
    sweep.begin(migration)
    return migration


def prepared(migration):
    with migration.engine.connect() as connection:
        query = sa.select(BATCH_JOB.c["keys"]).order_by(BATCH_JOB.c.created_at)
        return list(connection.scalars(query))


def prepare_all(migration, model=MODEL):
    with working(migration.engine, "backfill") as worker:
        while prepare(migration, worker, model):
            pass


def is_walked(migration):
    with migration.engine.connect() as connection:
        return read_sweep(connection, migration).is_complete


def test_every_pending_row_is_in_one_job(table):
    with table.engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = ' ' where id = 7")
        connection.exec_driver_sql('update "Amenities" set content = null where id = 8')
    prepare_all(table)
    keys = [key for part in prepared(table) for key in part]
    assert sorted(map(int, keys)) == sorted({*range(1, 2001)} - {7, 8})
    assert all(len(part) <= 300 for part in prepared(table))
    assert is_walked(table)


def test_no_more_jobs_are_open_than_allowed_and_the_rest_stays_in_the_sweep(table, monkeypatch):
    monkeypatch.setattr(preparing, "MAX_OPEN", 2)
    prepare_all(table)
    assert 2 <= len(prepared(table)) < 7
    assert not is_walked(table)


def test_ranges_that_were_claimed_and_are_in_no_job_come_again(table, monkeypatch):
    def fail(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(sweep, "finish_with", fail)
        with pytest.raises(KeyboardInterrupt):
            prepare_all(table)
    assert prepared(table) == []
    prepare_all(table)
    assert sum(map(len, prepared(table))) == 2000


def test_a_table_that_is_rewritten_meanwhile_is_walked_again(table, monkeypatch):
    read = preparing._read

    def rewrite_first(leaf, claimed):
        monkeypatch.setattr(preparing, "_read", read)
        with autocommit(table.engine) as connection:
            connection.exec_driver_sql('vacuum full "Amenities"')
        return read(leaf, claimed)

    monkeypatch.setattr(preparing, "_read", rewrite_first)
    prepare_all(table)
    keys = [key for part in prepared(table) for key in part]
    assert {*map(int, keys)} == {*range(1, 2001)}


def test_a_partitioned_table_has_the_rows_of_all_leaves_in_jobs(engine, plan):
    migration = expanded(engine, plan, TEXTS)
    sweep.begin(migration)
    prepare_all(migration)
    assert sorted(key for part in prepared(migration) for key in part) == list("123456")


def test_a_job_has_as_many_bytes_as_its_file_may_have():
    model = replace(MODEL, batch_bytes=10_000)
    rows = [KeyedRow(str(n), 600) for n in range(20)]
    parts = [len(part) for part in cut(rows, model)]
    assert parts == [8, 8, 4]
    assert [len(part) for part in cut([KeyedRow("1", 99_999)] * 2, model)] == [1, 1]
