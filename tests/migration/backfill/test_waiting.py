import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import PhaseError
from ragkit.migration.backfill.waiting import MAX_WAIT, Waiting
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from tests.conftest import TEXTS


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def sleep(self, seconds):
        self.now += seconds
        self.pauses.append(seconds)

    def __call__(self):
        return self.now


@pytest.fixture
def held(migration):
    """A range that another backfill holds, which writes nothing."""
    expand(migration)
    sweep.begin(migration)
    with working(migration.engine, "ragkit backfill") as worker:
        sweep.claim(migration, worker)
        yield migration


def test_what_others_hold_is_told_and_not_waited_for_without_end(held, caplog):
    clock = Clock()
    waiting = Waiting(held, 240.0, clock.sleep, clock)
    with pytest.raises(PhaseError, match=r"1 ranges .* held by 'ragkit backfill by .*', since"):
        for _ in range(1000):
            waiting.wait()
    assert 240 <= clock.now <= 240 + MAX_WAIT
    assert len(clock.pauses) < 240  # it does not spin
    assert len([r for r in caplog.records if "nothing has changed" in r.message]) == 1


def test_work_that_nobody_begins_is_told_as_such(migration):
    expand(migration)
    sweep.begin(migration)
    clock = Clock()
    waiting = Waiting(migration, 10.0, clock.sleep, clock)
    with pytest.raises(PhaseError, match=r"1 blocks .* not claimed, 0 ranges .* none begins"):
        for _ in range(100):
            waiting.wait()


def test_as_long_as_something_changes_it_waits(held):
    clock = Clock()
    waiting = Waiting(held, 10.0, clock.sleep, clock)
    for key in range(1, 40):
        with held.engine.begin() as connection:
            row = {"id": 100 + key, "name": "n", "content": "New."}
            connection.execute(sa.insert(held.table).values(row))
        for _ in range(5):
            waiting.wait()
    assert clock.now > 100


def test_a_pause_of_those_who_hold_something_is_not_counted(held):
    clock = Clock()
    waiting = Waiting(held, 10.0, clock.sleep, clock)
    waiting.wait()
    clock.now += 1000
    waiting.restart()
    waiting.wait()


def test_it_waits_while_rows_of_a_held_range_get_their_vectors(held):
    clock = Clock()
    waiting = Waiting(held, 60.0, clock.sleep, clock)
    waiting.wait()
    for key in range(1, len(TEXTS) + 1):  # of a slow model: each is later than half the patience
        clock.now += 35
        waiting.wait()
        fill(held, key)
    assert clock.now > 3 * 60
    with pytest.raises(PhaseError, match="1 ranges"):
        for _ in range(3):
            clock.now += 35
            waiting.wait()


def fill(migration, key):
    vector = np.ones(migration.new.space.dimension)
    row = sa.update(migration.table).where(migration.table.c.id == key)
    with migration.engine.begin() as connection:
        connection.execute(row.values({migration.plan.new.column: vector}))
