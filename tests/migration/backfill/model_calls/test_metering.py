"""What a meter shows, and what it leaves alone."""

import re

import pytest
import sqlalchemy as sa

from ragkit.errors import BudgetExceeded, DatabaseUnavailable
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.model_calls.metering import (
    CostMeter,
    Reading,
    meter_questions,
    meter_requests,
)
from ragkit.migration.backfill.pipeline import run_backfill
from tests.conftest import with_plan


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
