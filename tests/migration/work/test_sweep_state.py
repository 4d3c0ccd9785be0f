from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep_state import SweepState, read_sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS
from tests.migration.partitions.tables import expanded


def state(migration):
    with migration.engine.connect() as connection:
        return read_sweep(connection, migration)


def test_of_a_table_that_nobody_has_begun_to_walk_all_is_unclaimed(migration):
    expand(migration)
    found = state(migration)
    assert found == SweepState(blocks=1, done=0, claims=0)
    assert (found.unclaimed, found.is_complete) == (1, False)


def test_what_is_claimed_is_counted_until_it_is_finished(engine, plan):
    migration = expanded(engine, plan, TEXTS)  # a page each of three leaves
    with working(engine, "backfill") as worker:
        claimed = []
        for left in (2, 1, 0):
            claimed.append(sweep.claim(migration, worker))
            assert (state(migration).unclaimed, state(migration).claims) == (left, 3 - left)
        for done in claimed:
            assert not state(migration).is_complete
            sweep.finish(migration, worker, done)
    assert state(migration).is_complete
