"""What a meter shows, and what it leaves alone."""

import re
import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import BudgetExceeded, DatabaseUnavailable, Stopped
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.model_calls.metering import (
    CostMeter,
    Reading,
    meter_questions,
    meter_requests,
)
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.control.settings import change_settings
from ragkit.migration.progress.audit import audit
from tests.conftest import with_plan
from tests.quota import windows


def test_a_reading_says_for_how_long_the_quota_holds_a_request(migration, embedder):
    slow = with_plan(migration, {"backfill.requests_per_minute": 6})
    reading, pauses = Reading(), []
    meter = CostMeter(slow, embedder.model, pauses.append, reading)
    meter.before(10)
    assert reading.held == ""
    meter.before(10)
    assert pauses == [pytest.approx(10, abs=1)]
    assert re.fullmatch(r"the quota allows the next request in (9|10) s", reading.held)
    reading.held_until -= 10
    assert reading.held == ""


def test_no_budget_stops_questions_and_they_are_recorded_by_themselves(migration, embedder):
    limited = with_plan(migration, {"backfill.budget_usd": 20e-6})
    with pytest.raises(BudgetExceeded):
        list(run_backfill(limited, embedder))
    meter_questions(limited, embedder).embed_query("a shop")
    rows, questions = read_costs(migration)
    assert (questions.model, questions.requests) == (f"{rows.model}, questions", 1)


def test_a_database_that_is_away_for_a_moment_ends_no_request(migration, embedder):
    meter, failures = CostMeter(migration, embedder.model), ["before", "after"]

    @sa.event.listens_for(migration.engine, "do_connect")
    def refuse(*_):
        if failures:
            raise DatabaseUnavailable(failures.pop())

    migration.engine.dispose()
    meter.before(10)
    failures.append("again")
    migration.engine.dispose()
    meter.after(10)
    assert failures == []
    assert [cost.requests for cost in read_costs(migration)] == [1]


def test_what_was_estimated_too_high_or_too_low_is_settled_by_the_next_request(migration, embedder):
    """100 tokens a second."""
    limits = {"backfill.tokens_per_minute": 6000, "backfill.requests_per_minute": 10**6}
    pauses = []
    meter = CostMeter(with_plan(migration, limits), embedder.model, pauses.append)
    for counted in (200, 2000, 1000):
        meter.before(1000)
        meter.after(counted)
    meter.before(1000)
    assert pauses == pytest.approx([10.0, 12.0, 32.0], abs=0.5)


def test_a_local_model_is_not_metered(migration, new_embedder):
    assert meter_requests(migration, new_embedder) is new_embedder
    assert meter_questions(migration, new_embedder) is new_embedder
    assert read_costs(migration) == []


class Run:
    """A backfill of 20 requests at 2 a second, in a thread."""

    def __init__(self, migration, embedder, vertex):
        limits = {
            "backfill.requests_per_minute": 120, "backfill.batch_size": 2, "backfill.in_flight": 8,
        }  # fmt: skip
        self._migration, self._vertex, self.error = with_plan(migration, limits), vertex, None
        self._embedder = embedder
        self.thread = threading.Thread(target=self._run)
        self.thread.start()
        while len(vertex.answered) < 3:
            time.sleep(0.02)

    def _run(self):
        try:
            list(run_backfill(self._migration, self._embedder))
        except Stopped as error:
            self.error = error


def test_a_pause_holds_requests_that_wait_for_the_quota_too(migration, embedder, vertex):
    run = Run(migration, embedder, vertex)
    change_settings(migration, "pause", paused=True)
    time.sleep(1.0)
    before = len(vertex.answered)
    time.sleep(2.0)
    assert len(vertex.answered) == before
    change_settings(migration, "resume", paused=False)
    run.thread.join(30)
    assert audit(migration).pending == 0
    assert max(map(len, windows(vertex.answered, 0.9))) <= 2  # no burst after it


def test_a_stop_waits_for_no_request_that_waits_for_the_quota(migration, embedder, vertex):
    run = Run(migration, embedder, vertex)
    change_settings(migration, "stop", stopped_at=sa.func.clock_timestamp())
    run.thread.join(2.5)
    assert not run.thread.is_alive()
    assert isinstance(run.error, Stopped)
    seen = len(vertex.answered)
    time.sleep(1.0)
    assert len(vertex.answered) == seen


def test_a_request_that_waits_long_for_the_quota_of_all_workers_is_no_fault_of_the_model(
    migration, embedder
):
    few = {"backfill.requests_per_minute": 6000, "backfill.model_seconds": 0.5}
    limited = with_plan(migration, few)
    meter_requests(limited, embedder)
    with migration.engine.begin() as connection:  # as if others had asked before
        free = "clock_timestamp() + interval '4 seconds'"
        connection.exec_driver_sql(f"update ragkit.quota set free_at = {free}")
    start = time.monotonic()
    list(run_backfill(limited, embedder))
    assert time.monotonic() - start > 2  # more than the model may take
    assert audit(migration).pending == 0
