from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.throttle.canary import (
    BASELINE_QUERIES,
    EVERY_SECONDS,
    SHARE,
    Canary,
    _query,
    _scans,
)
from ragkit.retrieval.search import STATEMENT_MS, nearest
from tests.migration.backfill.throttle.clock import Clock


class SimulatedApp:
    """A query of a given duration, and an index that is used so often a second."""

    def __init__(self, ms=10.0, per_second=10.0):
        self.clock, self.ms, self.per_second = Clock(), ms, per_second
        self.start, self.own, self.spent = self.clock.now, 0, 0.0
        self.knows_scans = True

    def canary(self, factor=1.5):
        return Canary(self.ask, self.scans, factor, self.clock)

    def ask(self):
        self.clock.now += self.ms / 1000
        self.own, self.spent = self.own + 1, self.spent + self.ms / 1000
        return self.ms

    def scans(self):
        of_app = int(self.per_second * (self.clock.now - self.start))
        return of_app + self.own if self.knows_scans else None

    def seen(self, canary, seconds):
        verdicts = []
        for _ in range(seconds):
            self.clock.now += 1
            verdicts.append(canary())
        return [verdict for verdict in verdicts if verdict is not None]


def test_a_slow_app_is_seen_until_it_recovers():
    app = SimulatedApp()
    canary = app.canary()
    assert not any(app.seen(canary, 30))
    app.ms = 40.0
    assert app.seen(canary, 30)[-1] == "the app's query takes 40 ms, and took 10"
    app.ms = 10.0
    assert app.seen(canary, 30)[-1] == ""


def test_one_slow_answer_is_no_slow_app():
    app = SimulatedApp()
    canary = app.canary()
    app.seen(canary, 30)
    app.ms = 500.0
    app.seen(canary, int(EVERY_SECONDS))
    app.ms = 10.0
    assert not any(app.seen(canary, 30))


def test_an_idle_table_is_neither_asked_nor_slow():
    app = SimulatedApp(per_second=0.0)
    canary = app.canary()
    app.ms = 900.0
    assert not any(app.seen(canary, 300))
    assert app.own == 0


def test_an_app_that_stalls_is_slow_although_nobody_is_answered():
    """Its index is used no more; it counts as busy for a minute, and one answer suffices."""
    app = SimulatedApp()
    canary = app.canary()
    app.seen(canary, 1000)
    count = app.scans()
    app.scans, app.ms = lambda: count, float(STATEMENT_MS)
    canary._scans = app.scans
    assert app.seen(canary, 10) == ["the app's query has not come back in 3 s"] * 2


@pytest.mark.parametrize("knows_scans", [True, False])
@pytest.mark.parametrize("ms", [10.0, 300.0, 2500.0])
def test_it_takes_less_than_a_hundredth_of_the_time(ms, knows_scans):
    """Also where the app's query scans a large table."""
    app = SimulatedApp(ms)
    app.knows_scans = knows_scans
    canary = app.canary()
    app.seen(canary, 3000)
    share = app.spent / (app.clock.now - app.start)
    assert 0 < share <= 1.1 * SHARE  # its last answer may have come just now


def test_a_short_backfill_is_over_before_it_asks():
    app = SimulatedApp()
    canary = app.canary()
    app.seen(canary, int(EVERY_SECONDS) - 1)
    assert app.own == 0
    app.seen(canary, 1)
    assert app.own == BASELINE_QUERIES


def test_an_app_without_an_index_counts_as_busy():
    app = SimulatedApp(per_second=0.0)
    app.knows_scans = False
    canary = app.canary()
    app.seen(canary, 10)
    app.ms = 40.0
    assert app.seen(canary, 30)[-1]


@pytest.fixture
def indexed(migration):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            f"create index on {migration.quoted_table} using hnsw "
            f"({migration.plan.old.column} vector_cosine_ops)"
        )
    return migration


def test_the_use_of_the_app_s_index_is_counted(indexed):
    before = _scans(indexed)
    with indexed.engine.connect() as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")
        for _ in range(4):
            nearest(connection, indexed.old, np.ones(256), ["id"], 3)
        connection.exec_driver_sql("select pg_stat_force_next_flush()")
    assert _scans(indexed) == before + 4


def test_without_an_index_nothing_can_be_counted(migration):
    assert _scans(migration) is None


def test_it_asks_as_the_app_does(indexed):
    assert 0 < _query(indexed)() < STATEMENT_MS
    with indexed.engine.begin() as connection:
        connection.execute(sa.update(indexed.table).values({"embedding": None}))
    assert _query(indexed)() == 0


def test_a_query_that_hangs_took_as_long_as_its_limit(indexed, server):
    ask = _query(indexed)
    other = server.engine(database=indexed.engine.url.database)
    with ThreadPoolExecutor(1) as executor, other.connect() as connection:
        connection.exec_driver_sql(f"lock table {indexed.quoted_table}")
        asked = executor.submit(ask)
        assert asked.result(10) == STATEMENT_MS
        connection.rollback()
    other.dispose()
