"""What ragkit has made for a rehearsal is removed, and nothing of others."""

import threading

import pytest

from ragkit.errors import DatabaseError, SchemaError
from ragkit.migration.backfill.model_calls.costs import ModelCost, read_costs, record_cost
from ragkit.migration.plan.data import DatabaseSection
from ragkit.migration.rehearsal import removal, scratch
from ragkit.migration.rehearsal.copying import place

SOON = DatabaseSection(lock_timeout_ms=50, ddl_seconds=0.5)


@pytest.fixture
def made(engine, migration):
    scratch.make_own_tables(engine)
    scratch.make_scratch(engine, migration.id)
    return engine


def remove(engine, waits=SOON):
    return removal.remove(engine, engine, waits)


def test_it_is_removed_once_and_says_what_was_rehearsed(made, migration):
    assert remove(made) == migration.id
    assert remove(made) is None


def test_what_was_spent_is_added_to_what_was_spent_before(made, migration):
    copied = place(migration, scratch.SCRATCH)
    for usd in (0.5, 0.25):
        with made.begin() as connection:
            record_cost(connection, copied, "a model", 100, usd)
        assert remove(made) == migration.id
        scratch.make_scratch(made, migration.id)
    assert read_costs(migration) == [ModelCost("a model, rehearsal", 2, 200, 0.75)]
    assert read_costs(copied) == []


def test_somebody_who_reads_the_copy_is_waited_for_and_not_longer_than_told(made, migration):
    with made.begin() as connection:
        connection.exec_driver_sql(f"create table {scratch.SCRATCH}.copy (id int)")
        connection.exec_driver_sql(
            scratch.mark_sql("table", f"{scratch.SCRATCH}.copy", migration.id)
        )
    reading, read = threading.Event(), threading.Event()

    def read_it():
        with made.begin() as other:
            other.exec_driver_sql(f"select * from {scratch.SCRATCH}.copy")
            reading.set()
            read.wait(20)

    reader = threading.Thread(target=read_it)
    reader.start()
    assert reading.wait(10)
    with pytest.raises(DatabaseError, match="ragkit rehearse --clean tries again"):
        remove(made)
    threading.Timer(0.5, read.set).start()
    assert remove(made, DatabaseSection(lock_timeout_ms=50, ddl_seconds=20)) == migration.id
    reader.join()


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("create table ragkit_rehearsal.mine (id int)", "table ragkit_rehearsal.mine depends on"),
        ("create view mine as select * from ragkit_rehearsal.copy", "view mine depends on"),
        ("create function ragkit_rehearsal.mine() returns int language sql return 1", "function"),
        (
            "create table mine (id int references ragkit_rehearsal.copy)",
            "constraint mine_id_fkey on table mine depends on",
        ),
    ],
)
def test_what_others_have_made_is_named_and_never_dropped(made, migration, statement, named):
    copy = f"{scratch.SCRATCH}.copy"
    with made.begin() as connection:
        connection.exec_driver_sql(f"create table {copy} (id int primary key)")
        connection.exec_driver_sql(scratch.mark_sql("table", copy, migration.id))
        connection.exec_driver_sql(statement)
    with pytest.raises(SchemaError, match=named):
        remove(made)
    with made.begin() as connection:
        assert scratch.rehearsed(connection) == migration.id
        kind, name = statement.split()[1], statement.split()[2].partition("(")[0]
        connection.exec_driver_sql(f"drop {kind} {name}")
    assert remove(made) == migration.id
