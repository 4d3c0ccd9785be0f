import pytest
import sqlalchemy as sa

from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import read_status
from ragkit.migration.work import queue
from ragkit.migration.work.workers import working


@pytest.fixture
def expanded(migration):
    expand(migration)
    return migration


def insert(migration, *keys, text="A new shop."):
    with migration.engine.begin() as connection:
        rows = [{"id": key, "name": "n", "content": text} for key in keys]
        connection.execute(sa.insert(migration.table), rows)


def add_keys(migration, count):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            "insert into ragkit.queue (migration, key) "
            "select %s, g::text from generate_series(1, %s) g",
            (migration.id, count),
        )


def look(migration, read, *arguments):
    with migration.engine.connect() as connection:
        return read(connection, migration, *arguments)


def snapshot(migration):
    with migration.engine.connect() as connection:
        now = sa.text("select pg_snapshot_xmax(pg_current_snapshot())::text::bigint")
        return connection.scalar(now)


def take(migration, worker="me", limit=100, block=0):
    return queue.take(migration, worker, snapshot(migration), limit, block)


def keys(migration, *arguments):
    return sorted(take(migration, *arguments).keys.values())


def test_keys_are_taken_and_leave_when_they_are_done(expanded):
    insert(expanded, 102, 100, 101)
    taken = take(expanded, limit=2)
    assert sorted(taken.keys.values()) == ["100", "102"]
    queue.remove(expanded, "me", list(taken.keys))
    assert keys(expanded) == ["101"]


def test_a_key_is_with_one_worker_until_that_is_gone(expanded):
    insert(expanded, 100)
    with working(expanded.engine, "backfill") as alive:
        taken = take(expanded, alive)
        assert list(taken.keys.values()) == ["100"]
        assert keys(expanded, "another") == []
    assert keys(expanded, "another") == ["100"]
    queue.remove(expanded, alive, list(taken.keys))
    assert look(expanded, queue.depth).keys == 1


def test_a_place_that_another_key_has_since_is_not_emptied(expanded):
    insert(expanded, 100)
    ours = list(take(expanded).keys)
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql("truncate ragkit.queue")
    insert(expanded, 101)
    keys(expanded, "another")
    queue.remove(expanded, "me", [*ours, "(0,1)", "(0,2)", "(0,3)"])
    assert look(expanded, queue.depth).keys == 1


def test_a_key_that_is_written_since_belongs_to_the_next_pass(expanded):
    insert(expanded, 100)
    before = snapshot(expanded)
    insert(expanded, 101)
    assert list(queue.take(expanded, "me", before, 100).keys.values()) == ["100"]


def test_a_long_queue_is_walked_once(expanded):
    add_keys(expanded, 5000)
    block, seen = 0, []
    with working(expanded.engine, "backfill") as worker:
        while (taken := take(expanded, worker, limit=250, block=block)).keys:
            assert taken.block >= block
            block = taken.block
            seen += taken.keys.values()
    assert sorted(map(int, seen)) == list(range(1, 5001))
    assert block > 10


def test_a_row_that_could_not_be_written_is_older_than_any_other_and_due_later(expanded):
    before = snapshot(expanded)
    insert(expanded, 100)
    assert look(expanded, queue.has_older, before) is False
    queue.put_back(expanded, ["5"])
    assert look(expanded, queue.has_older, before) is True
    assert keys(expanded) == ["100"]
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.queue set not_before = now()")
    assert "5" in keys(expanded)


def test_only_rows_that_are_pending_indeed_are_counted(expanded):
    insert(expanded, 100, 101)
    insert(expanded, 102, text=" ")
    insert(expanded, 103)
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql('delete from "Amenities" where id = 103')
        connection.exec_driver_sql("update \"Amenities\" set name = 'twice' where id = 100")
    assert look(expanded, queue.pending_rows) == 2
    assert look(expanded, queue.pending_rows, snapshot(expanded)) == 2
    assert look(expanded, queue.depth).keys == 5


def test_the_status_says_how_many_wait_and_for_how_long(expanded):
    assert read_status(expanded, None).queue == "empty"
    insert(expanded, 100, 101)
    with expanded.engine.begin() as connection:
        connection.exec_driver_sql("update ragkit.queue set at = now() - interval '90 seconds'")
    assert read_status(expanded, None).queue == "2 keys, the oldest for 90 s"


def test_a_long_queue_is_not_counted_to_its_end(expanded):
    add_keys(expanded, 10_005)
    assert look(expanded, queue.depth).keys == queue.MAX_COUNTED + 1
    assert str(look(expanded, queue.depth)).startswith("more than 10,000 keys")


def test_migrations_do_not_see_each_other(expanded):
    insert(expanded, 100)
    assert look(expanded.reversed(), queue.is_empty)
    assert not look(expanded, queue.is_empty)


def test_pending_rows_are_added_once(expanded):
    for _ in range(2):
        with expanded.engine.begin() as connection:
            queue.add_pending(connection, expanded)
    assert keys(expanded) == ["1", "2", "3", "4", "5", "6"]
