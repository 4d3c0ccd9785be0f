import time

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS, make_table
from tests.migration.partitions.tables import expanded, run


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


@pytest.fixture
def me(table):
    with working(table.engine, "backfill") as worker:
        yield worker


def state(migration):
    with migration.engine.connect() as connection:
        return read_sweep(connection, migration)


def test_a_worker_that_is_frozen_while_it_claims_holds_nobody_for_long(table, me, monkeypatch):
    monkeypatch.setattr(sweep, "FROZEN_SECONDS", 2.0)  # also of the other one, on a busy machine
    with table.engine.connect() as frozen, working(table.engine, "backfill") as other:
        sweep.restart(frozen, table)  # and neither commits nor hangs up
        start = time.monotonic()
        claimed = sweep.claim(table, other)
        assert time.monotonic() - start < 8
        assert claimed is not None
        frozen.invalidate()


def test_the_ranges_of_all_workers_are_the_whole_table_once(table, me):
    claimed = []
    with working(table.engine, "backfill") as other:
        while found := sweep.claim(table, (me, other)[len(claimed) % 2]):
            claimed.append(found)
    assert len(claimed) >= sweep.SHARES
    ends = [0, *(part.end for part in claimed)]
    assert [part.first for part in claimed] == ends[:-1]
    assert ends[-1] == state(table).blocks


def test_a_sweep_is_complete_when_its_ranges_are_finished(table, me):
    claimed = []
    while found := sweep.claim(table, me):
        claimed.append(found)
    for done in claimed:
        assert not state(table).is_complete
        sweep.finish(table, me, done)
    assert state(table).is_complete
    sweep.begin(table)  # does not start again
    assert state(table).is_complete


def test_a_range_of_a_worker_that_is_gone_is_taken_over_and_that_of_another_is_not(table, me):
    with working(table.engine, "backfill") as alive:
        kept = sweep.claim(table, alive)
        lost = sweep.claim(table, "gone")
        assert sweep.claim(table, me) == lost
        sweep.finish(table, "gone", lost)  # it comes back, too late
        assert state(table).claims == 2
        assert kept.first != lost.first != sweep.claim(table, alive).first


def test_a_table_that_was_rewritten_is_walked_again(table, me):
    while sweep.claim(table, me):
        pass
    with autocommit(table.engine) as connection:
        connection.exec_driver_sql('vacuum full "Amenities"')
    sweep.begin(table)
    assert (state(table).done, state(table).claims) == (0, 0)


def test_before_the_first_claim_nothing_is_done(migration):
    expand(migration)
    assert (state(migration).done, state(migration).is_complete) == (0, False)
    assert sweep.claim(migration, "me").first == 0


def test_an_empty_table_is_walked_at_once(migration):
    with migration.engine.begin() as connection:
        connection.execute(sa.text('truncate "Amenities"'))
    expand(migration)
    sweep.begin(migration)
    assert sweep.claim(migration, "me") is None
    assert state(migration).is_complete


def test_partitions_that_come_are_walked_and_those_that_go_are_forgotten(engine, plan):
    migration = expanded(engine, plan, TEXTS)
    assert state(migration).blocks == 3  # a page each of three leaves; one is empty
    with working(engine, "backfill") as worker:
        claimed = []
        while found := sweep.claim(migration, worker):
            claimed.append(found)
        assert len({part.leaf.name for part in claimed}) == 3
        for done in claimed[1:]:
            sweep.finish(migration, worker, done)
        assert state(migration).claims == 1
        run(engine, f"drop table {claimed[0].leaf.regclass}")
        assert sweep.claim(migration, worker) is None
        assert state(migration).is_complete
    run(engine, 'alter table "Part 2" detach partition "Part 2 high"')
    assert state(migration).is_complete
    run(
        engine,
        'create table more (like "Amenities" including all)',
        "insert into more (id, name, content) values (100, 'n', 'More.')",
        'alter table "Part 2" attach partition more for values from (100) to (maxvalue)',
    )
    assert not state(migration).is_complete
    assert sweep.claim(migration, "me").leaf.name == "more"


def test_a_partition_that_was_rewritten_is_walked_again_and_no_other_one(engine, plan):
    migration = expanded(engine, plan, TEXTS)
    with working(engine, "backfill") as worker:
        while claimed := sweep.claim(migration, worker):
            sweep.finish(migration, worker, claimed)
        with autocommit(engine) as connection:
            connection.exec_driver_sql('vacuum full "Part 1"')
        assert sweep.claim(migration, worker).leaf.name == "Part 1"
        assert sweep.claim(migration, worker) is None
