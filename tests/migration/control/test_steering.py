"""A run obeys within a second, wherever it runs, and loses nothing."""

import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import ConfigError, Stopped
from ragkit.migration.backfill.follower import follow
from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.control.settings import change_settings
from ragkit.migration.control.steering import Steering, require_not_postponed
from ragkit.migration.migration import Migration
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, make_table, with_plan
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder

PLACES = [f"Place {n} is a shop. Wool." for n in range(200)]


@pytest.fixture
def migration(engine, plan):
    plan = changed(plan, {"backfill.batch_size": 2, "backfill.in_flight": 2})
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


class Run:
    """A backfill in a thread with a model that takes 20 ms: `asked` has the time of each request,
    `waiting` what its progress says."""

    def __init__(self, migration, embedder):
        self.asked, self.waiting, self.error = [], [], None
        self.embedder = RecordingEmbedder(embedder, self._ask)
        self._migration = migration
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _ask(self, _):
        self.asked.append(time.monotonic())
        time.sleep(0.02)

    def _run(self):
        try:
            for step in run_backfill(self._migration, self.embedder):
                self.waiting.append(step.waiting)
        except Stopped as error:
            self.error = error

    def wait_for(self, requests):
        deadline = time.monotonic() + 20
        while len(self.asked) < requests:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def asked_in(self, seconds):
        before = len(self.asked)
        time.sleep(seconds)
        return len(self.asked) - before


def test_a_pause_holds_every_request_within_a_second_and_nothing_is_lost(migration, new_embedder):
    run = Run(migration, new_embedder)
    run.wait_for(5)
    change_settings(migration, "pause", paused=True)
    paused_at = time.monotonic()
    time.sleep(1.0)
    assert run.asked_in(1.5) == 0
    assert max(run.asked) - paused_at < 1.0
    assert "paused by" in run.waiting[-1]
    change_settings(migration, "resume", paused=False)
    run.thread.join(30)
    assert audit(migration).pending == 0
    check_vectors(migration, new_embedder)


def test_a_run_that_is_stopped_keeps_what_was_answered_and_the_next_one_goes_on(
    migration, new_embedder
):
    run = Run(migration, new_embedder)
    run.wait_for(5)
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    run.thread.join(5)
    assert not run.thread.is_alive()
    assert "stopped by" in str(run.error)
    assert audit(migration).filled == 2 * len(run.asked)  # two texts a request
    assert list(run_backfill(migration, new_embedder))[-1].done == len(PLACES)


def test_a_run_that_is_paused_can_be_stopped(migration, new_embedder):
    change_settings(migration, "pause", paused=True)
    run = Run(migration, new_embedder)
    time.sleep(0.6)
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    run.thread.join(5)
    assert "stopped by" in str(run.error)
    assert run.asked == []


def test_at_a_quarter_of_its_pace_it_asks_less_often(migration, new_embedder):
    change_settings(migration, "in-flight", in_flight=1)
    run = Run(migration, new_embedder)
    run.wait_for(2)
    usual = run.asked_in(0.6)
    change_settings(migration, "slower", pace=0.25)
    time.sleep(0.7)
    slow = run.asked_in(0.6)
    change_settings(migration, "reset", pace=8.0)
    run.thread.join(30)
    assert 0 < slow < 0.5 * usual
    assert audit(migration).pending == 0


def test_a_window_that_is_closed_holds_it_and_the_control_has_precedence(migration, new_embedder):
    with migration.engine.connect() as connection:
        hour = connection.scalar(sa.text("select extract(hour from now() at time zone 'UTC')"))
    start, end = (int(hour) + 2) % 24, (int(hour) + 4) % 24
    closed = with_plan(migration, {"backfill.window": f"{start}:00-{end}:00"})
    run = Run(closed, new_embedder)
    time.sleep(0.6)
    assert run.asked == []
    assert "outside of the window" in run.waiting[-1]
    change_settings(migration, "window", window="always")
    run.thread.join(30)
    assert audit(migration).pending == 0


def test_a_follower_knows_no_window_and_can_be_paused(migration, new_embedder):
    list(run_backfill(migration, new_embedder))
    never = with_plan(migration, {"backfill.window": "00:00-00:01"})
    stop, waiting = threading.Event(), []

    def run():
        for step in follow(never, new_embedder, None, stop):
            waiting.append(step.waiting)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        write(migration, 500)
        wait_until(lambda: audit(migration).pending == 0)
        change_settings(migration, "pause", paused=True)
        time.sleep(1)
        write(migration, 501)
        wait_until(lambda: "paused by" in waiting[-1])
        assert audit(migration).pending == 1
        change_settings(migration, "resume", paused=False)
        wait_until(lambda: audit(migration).pending == 0)
    finally:
        stop.set()
        thread.join(10)


def write(migration, key):
    with migration.engine.begin() as connection:
        values = {"id": key, migration.content.name: f"New place {key}."}
        connection.execute(sa.insert(migration.table).values(values))


def wait_until(is_so, seconds=20):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_settings_that_mean_nothing_are_told_once_and_the_last_ones_hold(
    migration, new_embedder, caplog
):
    change_settings(migration, "in-flight", in_flight=1)
    slots = InFlight(2)
    with Steering(migration, slots, 2, follows=False) as steering:
        assert slots.limit == 1
        with migration.engine.begin() as connection:
            connection.execute(sa.text("update ragkit.control set in_flight = -5"))
        wait_until(lambda: "ragkit control reset" in caplog.text)
        time.sleep(1.1)
        assert caplog.text.count("ragkit control reset") == 1
        assert (slots.limit, steering.hold) == (1, "")


def test_a_cut_over_that_is_postponed_is_refused(migration):
    require_not_postponed(migration)
    change_settings(migration, "postpone-cutover", postponed=True)
    with pytest.raises(ConfigError, match=r"postponed by .* ragkit control allow-cutover"):
        require_not_postponed(migration)
