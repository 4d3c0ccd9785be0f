"""The cost ledger, the quota that all share, and the budget."""

import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.embedders.vertex import VertexEmbedder
from ragkit.errors import BudgetSpent
from ragkit.migration import backfill, coverage, ledger, schema, spending
from ragkit.migration.spending import Meter
from ragkit.migration.subject import Migration
from ragkit.models import find
from tests.conftest import make_table, with_plan
from tests.stand_ins import vertex as stand_in


@pytest.fixture
def embedder(vertex):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    return VertexEmbedder(find("text-embedding-005"), env)


@pytest.fixture
def migration(engine, plan, embedder):
    plan = plan.model_copy(update={"new_model": embedder.model.name, "batch_size": 10})
    make_table(engine, plan, [f"Place {n} is a shop. Wool." for n in range(40)])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    return migration


def test_what_was_asked_is_on_record_over_all_runs(migration, embedder, vertex):
    list(backfill.fill(migration, embedder))
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).where(migration.key == 1).values(
            {migration.content.name: "Another text."}))  # fmt: skip
    list(backfill.fill(migration, embedder))
    (spent,) = spending.spent(migration)
    assert (spent.model, spent.requests) == ("text-embedding-005", len(vertex.calls))
    counted = sum(
        stand_in._tokens(text) for text in [f"Place {n} is a shop. Wool." for n in range(40)]
    )
    assert spent.tokens == counted + stand_in._tokens("Another text.")
    assert spent.usd == pytest.approx(spent.tokens * 0.10 / 1e6)


def test_the_budget_stops_cleanly_and_the_next_run_goes_on(migration, embedder):
    tight = with_plan(migration, budget_usd=20e-6)  # 200 tokens
    with pytest.raises(BudgetSpent, match=r"\d+ rows have vectors and \d+ are pending"):
        list(backfill.fill(tight, embedder))
    (spent,) = spending.spent(migration)
    assert 0 < spent.usd <= 20e-6
    with migration.engine.connect() as connection:
        now = coverage.count(connection, migration)
        assert ledger.phase(connection, migration.id) == ledger.EXPANDED
    assert 0 < now.filled < 40
    assert now.set_aside == 0
    assert list(backfill.fill(migration, embedder))[-1].done == 40


def test_all_who_share_a_quota_keep_to_it_without_bursts(migration, embedder):
    """Four workers, 1,200 requests a minute: one each 50 ms, none earlier."""
    shared, left = with_plan(migration, requests_per_minute=1200), []

    def work():
        meter = Meter(shared, embedder)
        for _ in range(5):
            meter.before(1)
            left.append(time.monotonic())

    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert len(left) == 20
    assert max(left) - min(left) >= 19 * 0.05 - 0.04
    for start in sorted(left):  # five in a quarter second, and four more after a stall
        assert sum(start <= at < start + 0.25 for at in left) <= 10


def test_tokens_count_too(migration, embedder):
    slept = []
    meter = Meter(with_plan(migration, tokens_per_minute=6000), embedder, slept.append)
    for _ in range(3):
        meter.before(100)  # one second of the quota each
    assert slept == pytest.approx([1.0, 2.0], abs=0.3)


def test_a_local_model_is_not_metered(migration, new_embedder):
    with spending.metered(migration, new_embedder):
        pass
    assert spending.spent(migration) == []
