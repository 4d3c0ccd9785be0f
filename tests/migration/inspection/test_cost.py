from datetime import date

import pytest

from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.cost import estimate_cost
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, changed, embedder_of
from tests.migration.inspection.conftest import LONG_TEXT
from tests.stand_ins.embeddings import openai
from tests.stand_ins.embeddings.service import KEY


def test_the_cost_covers_the_pending_rows(flawed, new_embedder):
    estimate = estimate_cost(flawed, new_embedder)
    assert (estimate.rows, estimate.requests) == (7, 4)  # two rows a batch
    assert estimate.tokens == -(-sum(map(len, [*TEXTS, LONG_TEXT])) // 4)
    expand(flawed)
    list(run_backfill(flawed, new_embedder))
    assert estimate_cost(flawed, new_embedder).rows == 0


@pytest.mark.parametrize("way", ["refuse", "cut", "pieces"])
def test_a_text_that_is_too_long_is_counted_as_it_will_be_sent(flawed, plan, engine, way):
    minilm = embedder_of("all-minilm-l6-v2")
    changes = {"new.model": minilm.model.name, "new.long_texts": way}
    estimate = estimate_cost(Migration.open(changed(plan, changes), engine), minilm)
    short = -(-sum(map(len, TEXTS)) // 4)
    assert estimate.tokens == short + (300 if way == "pieces" else 254)  # "long", 300 times
    assert (estimate.rows, estimate.requests) == (7, 4)


def test_a_service_is_paid_for_the_pieces(flawed, plan, engine, vertex, monkeypatch):
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    model = embedder_of("gemini-embedding-001/768")  # one text a request
    with engine.begin() as connection:
        connection.exec_driver_sql("update \"Amenities\" set content = repeat('long ', 8000) || id")
    for way, requests, tokens in [("pieces", 45, 90_000), ("cut", 9, 9 * 2048)]:
        changes = {"new.model": model.model.name, "new.long_texts": way}
        estimate = estimate_cost(Migration.open(changed(plan, changes), engine), model)
        assert estimate.requests == requests
        assert estimate.tokens == pytest.approx(tokens, rel=0.001)  # as a sample was counted
        assert estimate.usd == pytest.approx(tokens * 0.15e-6, abs=1e-4)


def test_a_batch_costs_half_and_takes_a_day_at_most(flawed, plan, engine):
    with openai.serving(1536) as service:
        model = "text-embedding-3-small"
        facts = {"base_url": f"{service.address}/v1", "usd_per_million_tokens": 1e4}
        estimates = []
        for mode in ("live", "batch"):
            of_mode = changed(plan, {"new.model": model, "backfill.mode": mode})
            of_mode = of_mode.model_copy(
                update={"model_facts": {model: ModelFacts(**facts, key_env="K", batch_texts=3)}}
            )
            migration = Migration.open(of_mode, engine)
            embedder = load_embedder(model, of_mode.facts, {"K": KEY})
            estimates.append(estimate_cost(migration, embedder))
        live, batch = estimates
        assert batch.usd == pytest.approx(live.usd / 2, rel=1e-3)
        assert batch.usd > 0
        assert (batch.requests, batch.minutes) == (3, 24 * 60)  # seven texts
        assert batch.tokens == live.tokens


@pytest.mark.parametrize(
    ("facts", "told"),
    [({}, "none known: set usd_per_million_tokens in model_facts"),
     ({"usd_per_million_tokens": 2.0}, "model_facts"),
     ({"usd_per_million_tokens": 2.0, "price_as_of": date(2026, 11, 27)}, "2026-11-27")],
)  # fmt: skip
def test_only_a_model_that_runs_here_is_called_free(flawed, facts, told):
    assert estimate_cost(flawed, embedder_of("wordllama-64")).price_as_of == "free, runs here"
    name = "openai:nomic-embed-text"
    with openai.serving(64, key="") as service:
        known = {name: {"base_url": f"{service.address}/v1", **facts}}
        embedder = load_embedder(f"{name}/64", known, {})
        assert estimate_cost(flawed, embedder).price_as_of == told
