import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragkit.errors import DatabaseError
from ragkit.migration.backfill.writing.writer import Writer
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import queue
from ragkit.migration.work.rows import Row
from tests.conftest import TEXTS, column_of, make_table

ROWS = [Row(str(number), text) for number, text in enumerate(TEXTS, 1)]
ONES = np.ones((6, 64), np.float32)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
        min_size=1, max_size=6,
    ),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_vectors_are_read_back_bit_by_bit_and_written_once(engine, plan, texts, seed):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'drop table if exists "Amenities"; drop schema if exists ragkit cascade'
        )
    make_table(engine, plan, texts)
    migration = Migration.open(plan, engine)
    expand(migration)
    vectors = np.random.default_rng(seed).normal(size=(len(texts), 64)).astype(np.float32)
    rows = [Row(str(number), text) for number, text in enumerate(texts, 1)]
    writer = Writer(migration)
    assert writer.write(rows, vectors) == len(texts)
    assert writer.write(rows, -vectors) == 0  # they have vectors
    stored = column_of(engine, migration, "new vector")
    np.testing.assert_array_equal(
        np.array([stored[int(row.key)] for row in rows], np.float32), vectors
    )


def queued(migration):
    with migration.engine.connect() as connection:
        return sorted(connection.scalars(sa.select(queue.QUEUE.c.key)))


def test_a_locked_row_is_left_for_later_and_nobody_waits(migration, engine):
    """An application's: whoever writes one of the others would wait for it too."""
    expand(migration)
    with engine.connect() as app:
        app.execute(sa.select(migration.key).where(migration.key == 3).with_for_update())
        start = time.monotonic()
        assert Writer(migration).write(ROWS, ONES) == 5
        assert time.monotonic() - start < 0.5
    assert queued(migration) == ["3"]
    assert Writer(migration).write(ROWS[2:3], ONES[:1]) == 1


def test_a_row_that_was_edited_deleted_or_filled_gets_nothing(migration, engine):
    expand(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = 'Edited.' where id = 1")
        connection.exec_driver_sql('delete from "Amenities" where id = 2')
    assert Writer(migration).write(ROWS, ONES) == 4
    assert column_of(engine, migration, "new vector")[1] is None


def test_both_columns_are_written_by_the_same_connections(filled, engine, old_embedder):
    """Of different dimensions, as a follower does after the cut-over."""
    from ragkit.migration.schema.expansion import keep_old_column_current

    keep_old_column_current(filled)
    with engine.begin() as connection:
        none = {"new vector": None, "embedding": None}
        connection.execute(sa.update(filled.table).where(filled.key == 1).values(none))
    old = old_embedder.embed_documents(TEXTS[:1])
    for migration, vectors in ((filled, ONES[:1]), (filled.reversed(), old)):
        assert Writer(migration).write(ROWS[:1], vectors) == 1


def test_nothing_outlives_a_write(migration, engine):
    """Behind a pooler in transaction mode, the next transaction may be somebody else's."""
    expand(migration)
    Writer(migration).write(ROWS, ONES)
    with engine.connect() as connection:
        tables = "select count(*) from pg_class where relpersistence = 't'"
        assert connection.exec_driver_sql(tables).scalar() == 0
        changed = "select name, setting from pg_settings where source = 'session'"
        assert [n for n, _ in connection.exec_driver_sql(changed) if "timeout" in n] == []


def test_a_table_that_somebody_has_locked_is_given_way_to(migration, engine, caplog):
    """Before PostgreSQL looks for a deadlock, in which the application could be the victim."""
    expand(migration)
    with engine.connect() as app, ThreadPoolExecutor(1) as executor:
        app.exec_driver_sql('lock table "Amenities" in share mode')
        written = executor.submit(Writer(migration).write, ROWS, ONES)
        assert written.result(20) == 0
    assert "come later" in caplog.text
    assert queued(migration) == [row.key for row in ROWS]
    assert Writer(migration).write(ROWS, ONES) == 6


def test_a_row_is_found_by_the_index_of_its_key_on_a_table_that_was_never_analysed(engine, plan):
    """By the plan of the statement itself, with a row each, whatever the planner believes."""
    make_table(engine, plan, TEXTS[:1])
    migration = Migration.open(plan, engine)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'insert into "Amenities" (id, name, content) '
            "select n, 'n', 'Text ' || n from generate_series(2, 100000) n"
        )
    expand(migration)
    keys = range(2, 66)
    engine.dispose()  # what its sessions have counted is told
    with engine.connect() as connection:
        before = scans(connection)
    rows = [Row(str(n), f"Text {n}") for n in keys]
    assert Writer(migration).write(rows, np.ones((64, 64), np.float32)) == 64
    engine.dispose()
    with engine.connect() as connection:
        after = scans(connection)
    assert after.by_index - before.by_index == 64
    assert after.sequential == before.sequential


def scans(connection):
    time.sleep(0.3)  # until the ended sessions have told
    return connection.exec_driver_sql(
        "select seq_scan as sequential, idx_scan as by_index from pg_stat_user_tables "
        "where relname = 'Amenities'"
    ).one()


def test_a_trigger_that_removes_the_vectors_is_an_error(migration, engine):
    expand(migration)
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "create function undo() returns trigger language plpgsql as "
            '$$ begin new."new vector" := null; return new; end $$'
        )
        connection.exec_driver_sql(
            'create trigger zzz before update on "Amenities" for each row execute function undo()'
        )
    with pytest.raises(DatabaseError, match="a trigger of the table removes the vectors of new"):
        Writer(migration).write(ROWS, ONES)


def late_check(migration, rule):
    with migration.engine.begin() as connection:
        statement = f"alter table {migration.quoted_table} add constraint late check ({rule})"
        connection.exec_driver_sql(f"{statement} not valid")


def test_a_row_that_no_update_works_on_is_set_aside(migration):
    expand(migration)
    late_check(migration, "id not in (2, 5)")
    writer = Writer(migration)
    assert writer.write(ROWS, ONES) == 4
    assert writer.write(ROWS, ONES) == 0
    [one, other] = dead_letters.list_all(migration)
    assert (one.key, other.key) == ("2", "5")
    assert 'violates check constraint "late"' in one.reason
    assert "Northlight" not in one.reason
    assert queued(migration) == []


def test_a_constraint_that_every_row_breaks_ends_the_run(migration, monkeypatch):
    monkeypatch.setattr("ragkit.migration.backfill.writing.writer.MOST_BROKEN", 3)
    expand(migration)
    late_check(migration, "id < 0")
    with pytest.raises(DatabaseError, match='constraint "late": so do the first 3 rows'):
        Writer(migration).write(ROWS, ONES)
    assert len(dead_letters.list_all(migration)) == 3
