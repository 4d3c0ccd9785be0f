"""With a real standby that stops to replay, and goes on."""

import time

import pytest

from ragkit.database.standbys import Standbys
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.backfill.throttle import replica_lag, throttle
from ragkit.migration.backfill.throttle.replica_lag import MAX_LAG_SECONDS, ReplicaLag
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, make_table

SECONDS = 50


def lag_of(*seconds, hidden=0):
    """A watch that meets these lags, the first one before the backfill."""
    lags = iter(seconds)
    return ReplicaLag(lambda: Standbys(1, hidden, next(lags)))


def test_a_standby_that_is_behind_is_slow():
    lag = lag_of(0.0, 5.0, 30.0, 5.0)
    assert [lag(), lag(), lag()] == ["", "a standby is 30 s behind", ""]


def test_one_that_is_delayed_on_purpose_is_not():
    lag = lag_of(120.0, 121.0, 131.0)
    assert [lag(), lag()] == ["", "a standby is 131 s behind"]


def test_one_that_cannot_be_seen_is_said_and_slows_nothing(caplog):
    assert lag_of(60.0, 60.0, hidden=1)() == ""
    assert "may not see how far standbys are behind" in caplog.text


@pytest.fixture
def impatient(monkeypatch):
    """Seconds of a test in place of those of a night."""
    monkeypatch.setattr(replica_lag, "MAX_LAG_SECONDS", MAX_LAG_SECONDS / 10)
    monkeypatch.setattr(throttle, "CHECK_SECONDS", 0.1)


def test_a_backfill_slows_down_for_a_standby_and_recovers(
    engine, plan, new_embedder, standby, replay, impatient
):
    make_table(engine, plan, [f"{text} Number {n}." for n in range(400) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    replay("pause")
    start, slowed_at, steps = time.monotonic(), None, []
    for step in run_backfill(migration, new_embedder):
        steps.append(step)
        assert time.monotonic() - start < SECONDS
        if slowed_at is None and step.waiting:
            slowed_at = len(steps)
            assert "standby is" in step.waiting
            replay("resume")
    assert slowed_at
    assert not steps[-1].waiting
    assert steps[-1].done == 400 * len(TEXTS)
