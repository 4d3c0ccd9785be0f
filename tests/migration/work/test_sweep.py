import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS, make_table


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
        return sweep.state(connection, migration)


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


def test_without_a_sweep_there_is_nothing_to_claim(migration):
    expand(migration)
    assert sweep.claim(migration, "me") is None
    assert state(migration) is None


def test_an_empty_table_is_walked_at_once(migration):
    with migration.engine.begin() as connection:
        connection.execute(sa.text('truncate "Amenities"'))
    expand(migration)
    sweep.begin(migration)
    assert sweep.claim(migration, "me") is None
    assert state(migration).is_complete
