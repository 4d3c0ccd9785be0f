"""The cost ledger and the budget."""

import pytest
import sqlalchemy as sa

from ragkit.errors import BudgetExceeded
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.progress.coverage import count_rows
from tests.conftest import with_plan
from tests.migration.backfill.model_calls.conftest import PLACES
from tests.stand_ins.vertex import count_tokens


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
