"""What a meter shows, and what it leaves alone."""

import re

import pytest

from ragkit.errors import BudgetExceeded
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


def test_a_local_model_is_not_metered(migration, new_embedder):
    assert meter_requests(migration, new_embedder) is new_embedder
    assert meter_questions(migration, new_embedder) is new_embedder
    assert read_costs(migration) == []
