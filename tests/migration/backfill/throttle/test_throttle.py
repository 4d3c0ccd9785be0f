import logging
import threading
import time

import pytest

from ragkit.errors import DatabaseUnavailable
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.throttle import Throttle, throttle_for
from ragkit.migration.backfill.throttle.canary import Canary
from ragkit.migration.backfill.throttle.probe_watch import ProbeWatch
from ragkit.migration.backfill.throttle.throttle import MAX_PAUSE, MIN_PAUSE
from ragkit.migration.schema.expansion import expand
from tests.migration.backfill.throttle.clock import Clock


class Watched:
    """Says what it is told, on a clock of its own."""

    def __init__(self, *verdicts):
        self.clock, self.verdicts, self.asked = Clock(), list(verdicts) or [""], 0

    def throttle(self):
        watches = [lambda n=n: self.watch(n) for n in range(len(self.verdicts))]
        return Throttle(watches, self.clock.sleep, self.clock)

    def watch(self, number):
        self.asked += 1
        if isinstance(self.verdicts[number], Exception):
            raise self.verdicts[number]
        return self.verdicts[number]

    def write(self, throttle, writes, seconds=0.5):
        for _ in range(writes):
            self.clock.now += seconds
            throttle.wait_if_slow()


def test_nothing_slow_causes_no_pause():
    watched = Watched("", None)
    watched.write(watched.throttle(), 100)
    assert watched.clock.slept == 0


def test_what_is_slow_slows_the_backfill_in_steps_until_it_recovers(caplog):
    watched = Watched("the app is slow")
    throttle = watched.throttle()
    with caplog.at_level(logging.WARNING):
        watched.write(throttle, 40)
        assert (throttle.pause, throttle.reason) == (MAX_PAUSE, "the app is slow")
        watched.verdicts = [""]
        watched.write(throttle, 1, seconds=1)
        assert (throttle.pause, throttle.reason) == (MAX_PAUSE / 2, "the app is slow")
        watched.write(throttle, 40)
    assert (throttle.pause, throttle.reason) == (0.0, "")
    assert [record.message for record in caplog.records] == ["slowed down: the app is slow"]


def test_an_app_that_is_slow_now_and_then_is_told_once(caplog):
    watched = Watched("the app is slow")
    throttle = watched.throttle()
    with caplog.at_level(logging.WARNING):
        for verdict in ("the app is slow", "") * 50:
            watched.verdicts = [verdict]
            watched.write(throttle, 10)
            assert (throttle.pause > 0) == bool(verdict)
        watched.write(throttle, 40, seconds=2)
        watched.verdicts = ["the app is slow again"]
        watched.write(throttle, 10)
    assert [record.message for record in caplog.records] == [
        "slowed down: the app is slow", "at full speed again", "slowed down: the app is slow again",
    ]  # fmt: skip


def test_only_a_new_verdict_makes_the_pause_longer():
    """A canary that is asked every five minutes does not stop the backfill by one answer."""
    watched = Watched("slow", "")
    throttle = watched.throttle()
    watched.write(throttle, 1, seconds=1)
    watched.verdicts = [None, ""]
    watched.write(throttle, 100)
    assert (throttle.pause, throttle.reason) == (MIN_PAUSE, "slow")


def test_all_that_is_slow_is_named():
    watched = Watched("the app is slow", "a standby too")
    throttle = watched.throttle()
    watched.write(throttle, 3)
    assert throttle.reason == "the app is slow; a standby too"


def test_a_database_that_is_away_says_nothing():
    watched = Watched(DatabaseUnavailable("gone"))
    throttle = watched.throttle()
    watched.write(throttle, 10)
    assert throttle.pause == 0


def test_it_checks_at_most_once_a_second():
    watched = Watched()
    watched.write(watched.throttle(), 150, seconds=0.01)
    assert watched.asked == 1


def test_one_of_several_writers_checks():
    asked, gate = [], threading.Event()

    def watch():
        asked.append(1)
        gate.wait(5)
        return ""

    clock = Clock()
    throttle = Throttle([watch], clock.sleep, clock)
    clock.now += 2
    first = threading.Thread(target=throttle.wait_if_slow)
    first.start()
    while not asked:
        time.sleep(0.01)
    throttle.wait_if_slow()  # does not wait for the other one's check
    gate.set()
    first.join()
    assert len(asked) == 1


def test_the_app_is_watched_by_a_probe_that_writes_else_by_a_canary(migration, tmp_path):
    log = tmp_path / "probe.jsonl"
    assert isinstance(throttle_for(migration, None)._watches[0], Canary)
    assert isinstance(throttle_for(migration, log)._watches[0], Canary)
    log.write_text('{"due": 1000.0}\n')  # of a run that is over
    assert isinstance(throttle_for(migration, log)._watches[0], Canary)
    log.write_text(f'{{"due": {time.time()}}}\n')
    assert isinstance(throttle_for(migration, log)._watches[0], ProbeWatch)


def test_a_call_costs_nothing_between_checks(migration):
    """Beside a check, which it must not come near."""
    throttle = throttle_for(migration, None)
    start = time.perf_counter()
    throttle._check()
    check = time.perf_counter() - start
    throttle._due = time.monotonic() + 60
    start = time.perf_counter()
    for _ in range(1000):
        throttle.wait_if_slow()
    assert (time.perf_counter() - start) / 1000 < check / 100


@pytest.mark.parametrize("has_index", [True, False])
def test_a_backfill_of_an_idle_table_is_never_slowed(migration, new_embedder, caplog, has_index):
    if has_index:
        with migration.engine.begin() as connection:
            connection.exec_driver_sql(
                f"create index on {migration.quoted_table} using hnsw "
                f"({migration.plan.old.column} vector_cosine_ops)"
            )
    expand(migration)
    with caplog.at_level(logging.WARNING):
        assert all(not step.waiting for step in run_backfill(migration, new_embedder))
    assert "slowed down" not in caplog.text
