"""The cost ledger, the shared quota, and the budget."""

import re
import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.errors import BudgetExceeded
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.model_calls.metering import (
    CostMeter,
    Reading,
    meter_questions,
    meter_requests,
    read_costs,
)
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, make_table, with_plan
from tests.stand_ins.vertex import count_tokens

PLACES = [f"Place {n} is a shop. Wool." for n in range(40)]


@pytest.fixture
def embedder(vertex):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    return VertexEmbedder(find_model("text-embedding-005"), env)


@pytest.fixture
def migration(engine, plan, embedder):
    plan = changed(plan, {"new.model": embedder.model.name, "backfill.batch_size": 10})
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def test_the_costs_of_all_runs_are_recorded(migration, embedder, vertex):
    list(run_backfill(migration, embedder))
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).where(migration.key == 1).values(
            {migration.content.name: "Another text."}))  # fmt: skip
    list(run_backfill(migration, embedder))
    (cost,) = read_costs(migration)
    assert (cost.model, cost.requests) == ("text-embedding-005", len(vertex.calls))
    assert cost.tokens == sum(map(count_tokens, [*PLACES, "Another text."]))
    assert cost.usd == pytest.approx(cost.tokens * 0.10 / 1e6)


def test_the_progress_has_what_all_runs_have_spent(migration, embedder):
    first, *steps = run_backfill(migration, embedder)
    (cost,) = read_costs(migration)
    assert first.usd == 0.0
    assert [step.usd for step in steps] == sorted(step.usd for step in steps)
    assert steps[-1].usd == pytest.approx(cost.usd)
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).where(migration.key == 1).values(
            {migration.content.name: "Another text."}))  # fmt: skip
    first, *_, last = run_backfill(migration, embedder)
    assert first.usd == pytest.approx(cost.usd)
    assert last.usd == pytest.approx(sum(cost.usd for cost in read_costs(migration)))
    assert last.usd > first.usd


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


def test_a_budget_stops_the_run_and_the_next_run_continues(migration, embedder):
    limited = with_plan(migration, {"backfill.budget_usd": 20e-6})  # 200 tokens
    with pytest.raises(BudgetExceeded, match=r"\d+ rows have vectors and \d+ are pending"):
        list(run_backfill(limited, embedder))
    (cost,) = read_costs(migration)
    assert 0 < cost.usd <= 20e-6
    with migration.engine.connect() as connection:
        counts = count_rows(connection, migration)
        assert ledger.phase(connection, migration.id) == phases.EXPANDED
    assert 0 < counts.filled < 40
    assert counts.dead_letters == 0
    assert list(run_backfill(migration, embedder))[-1].done == 40


def test_no_budget_stops_questions_and_they_are_recorded_by_themselves(migration, embedder):
    limited = with_plan(migration, {"backfill.budget_usd": 20e-6})
    with pytest.raises(BudgetExceeded):
        list(run_backfill(limited, embedder))
    meter_questions(limited, embedder).embed_query("a shop")
    rows, questions = read_costs(migration)
    assert (questions.model, questions.requests) == (f"{rows.model}, questions", 1)


def test_workers_that_share_a_quota_send_no_burst(migration, embedder):
    """Four workers, 1,200 requests a minute: one request every 50 ms."""
    shared, sent_at = with_plan(migration, {"backfill.requests_per_minute": 1200}), []

    def work():
        meter = CostMeter(shared, embedder.model)
        for _ in range(5):
            meter.before(1)
            sent_at.append(time.monotonic())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(sent_at) == 20
    assert max(sent_at) - min(sent_at) >= 19 * 0.05 - 0.04
    for start in sorted(sent_at):  # five in a quarter second, and more after a stall
        assert sum(start <= at < start + 0.25 for at in sent_at) <= 10


def test_a_quota_of_tokens_delays_requests(migration, embedder):
    pauses = []
    limited = with_plan(migration, {"backfill.tokens_per_minute": 6000})
    meter = CostMeter(limited, embedder.model, pauses.append)
    for _ in range(3):
        meter.before(100)  # one second of the quota each
    assert pauses == pytest.approx([1.0, 2.0], abs=0.3)


def test_a_local_model_is_not_metered(migration, new_embedder):
    assert meter_requests(migration, new_embedder) is new_embedder
    assert meter_questions(migration, new_embedder) is new_embedder
    assert read_costs(migration) == []
