"""Which rows are copied, and what a copy waits for."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration
from ragkit.migration.rehearsal import copying, sample
from ragkit.migration.rehearsal.scratch import SCRATCH
from tests.conftest import changed
from tests.migration.rehearsal.conftest import ROWS


def copy(migration, share, judged=(), by_blocks=None):
    copied = copying.place(migration, SCRATCH)
    by_blocks = sample.is_by_blocks(migration, share) if by_blocks is None else by_blocks
    added = copying.copy_rows(migration, copied, share, judged, by_blocks)
    copying.index_copy(migration, copied)
    with migration.engine.connect() as connection:
        return added, set(connection.scalars(copied.select(copied.key_text)))


@pytest.mark.parametrize("by_blocks", [True, False])
def test_the_share_is_random_and_the_same_each_time(pages, by_blocks):
    _, keys = copy(pages, 0.3, by_blocks=by_blocks)
    assert len(keys) == pytest.approx(0.3 * ROWS, rel=0.4)
    assert max(map(int, keys)) > 0.9 * ROWS
    with pages.engine.begin() as connection:
        connection.exec_driver_sql(f'drop table {SCRATCH}."Amenities"')
    assert copy(pages, 0.3, by_blocks=by_blocks)[1] == keys


def test_rows_of_judged_questions_are_added_once(pages):
    judged = [str(n) for n in range(1, 101)]
    added, keys = copy(pages, 0.3, judged)
    assert {*judged} < keys
    assert 0 < added < 100


def test_a_filter_holds_for_both(engine, pages):
    filtered = Migration.open(changed(pages.plan, {"table.where": "mod(id, 2) = 0"}), engine)
    _, keys = copy(filtered, 0.5, ["1", "2", "4"])
    assert {"2", "4"} <= keys
    assert not [key for key in keys if int(key) % 2]


def test_rows_of_judged_questions_are_found_by_a_key_of_several_columns(engine, pages):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter name set not null')
        connection.exec_driver_sql('create unique index on "Amenities" (id, name)')
    both = Migration.open(changed(pages.plan, {"table.key": ("id", "name")}), engine)
    with engine.connect() as connection:
        judged = connection.scalars(both.select(both.key_text).where(both.table.c.id <= 50)).all()
    added, keys = copy(both, 0.3, judged)
    assert {*judged} < keys
    assert 0 < added < 50


def test_a_copy_waits_for_nobody(engine, pages):
    with engine.begin() as other:
        other.exec_driver_sql('lock table "Amenities" in access exclusive mode')
        with pytest.raises(DatabaseError, match="was locked by others, even against reading"):
            copy(pages, 0.5, by_blocks=True)


def test_a_copy_takes_no_longer_than_it_may(pages, monkeypatch):
    monkeypatch.setattr(copying, "COPY_SECONDS", 1)
    with pages.engine.begin() as connection:
        connection.exec_driver_sql(
            "create function slow(text) returns boolean language plpgsql immutable as "
            "'begin perform pg_sleep(0.1); return true; end'"
        )
    slow = Migration.open(changed(pages.plan, {"table.where": "slow(pad)"}), pages.engine)
    with pytest.raises(DatabaseError, match="take a smaller --share"):
        copy(slow, 0.9, by_blocks=True)


def test_nobody_waits_for_a_copy(engine, pages, monkeypatch):
    """It holds the lock of a SELECT until its transaction ends: the app reads and writes."""
    began, written = threading.Event(), threading.Event()
    seen = []
    create = copying._create

    def create_and_stay(connection, *arguments):
        columns = create(connection, *arguments)
        began.set()
        assert written.wait(10)
        modes = "select mode from pg_locks where relation = '\"Amenities\"'::regclass"
        seen.extend(connection.scalars(sa.text(f"{modes} and pid = pg_backend_pid()")))
        return columns

    def write():
        assert began.wait(10)
        with engine.begin() as other:
            other.exec_driver_sql("set local lock_timeout = 1000")
            other.exec_driver_sql("update \"Amenities\" set name = 'new' where id = 1")
        written.set()

    monkeypatch.setattr(copying, "_create", create_and_stay)
    writer = threading.Thread(target=write)
    writer.start()
    copy(pages, 0.5, by_blocks=True)
    writer.join()
    assert seen == ["AccessShareLock"]
