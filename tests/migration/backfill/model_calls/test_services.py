"""A whole backfill by OpenAI's SDK, against a stand-in that speaks its wire format."""

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from ragkit.errors import WrongDimension
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.model_calls.quota import QUOTA
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.plan.models.facts import ModelFacts
from ragkit.migration.progress.audit import audit
from ragkit.migration.schema.expansion import expand
from tests.conftest import NEW, TEXTS, changed, column_of, make_table
from tests.stand_ins.embeddings import openai
from tests.stand_ins.embeddings.service import KEY, count_tokens

MODEL = "text-embedding-3-small"
PLACES = [f"Place {n} is a shop. Wool." for n in range(40)]
PRICE = 5.0


@pytest.fixture
def service():
    with openai.serving(1536) as stand_in:
        yield stand_in


@pytest.fixture
def migration(engine, plan, service):
    facts = ModelFacts(
        base_url=f"{service.address}/v1", key_env="OPENAI_API_KEY", usd_per_million_tokens=PRICE
    )
    plan = changed(plan, {"new.model": f"{MODEL}/256", "backfill.batch_size": 10})
    plan = plan.model_copy(update={"model_facts": {MODEL: facts}})
    make_table(engine, plan, PLACES)
    migration = Migration.open(plan, engine)
    expand(migration)
    return migration


def embedder_of(migration):
    plan = migration.plan
    return load_embedder(plan.new.model, plan.facts, {"OPENAI_API_KEY": KEY})


def test_every_row_gets_its_vector_and_the_ledger_the_tokens_that_the_service_counted(
    migration, service
):
    service.faults, service.retry_after = [429, 500], "0.1"
    embedder = embedder_of(migration)
    assert list(run_backfill(migration, embedder))[-1].done == 40
    counts = audit(migration)
    assert (counts.filled, counts.pending, counts.dead_letters) == (40, 0, 0)
    (cost,) = read_costs(migration)
    assert cost.model == f"{MODEL}/256"
    assert cost.tokens == sum(map(count_tokens, PLACES))
    assert cost.requests == len(service.asked) - 2  # two were refused
    assert cost.usd == pytest.approx(cost.tokens * PRICE / 1e6)
    stored = column_of(migration.engine, migration, "new vector")
    first = embedder.embed_documents(PLACES[:1])[0]
    np.testing.assert_allclose(np.asarray(stored[1]), first, atol=1e-3)
    with migration.engine.connect() as connection:
        assert connection.scalar(sa.select(QUOTA.c.model)) == MODEL


def test_another_dimension_stops_it_and_blames_no_row(migration, service):
    service.faults = ["shape"] * 9
    with pytest.raises(WrongDimension):
        list(run_backfill(migration, embedder_of(migration)))
    assert audit(migration).dead_letters == 0
    service.faults = []
    assert list(run_backfill(migration, embedder_of(migration)))[-1].done == 40


def test_a_plug_in_is_cut_to_the_dimension_behind_its_name(engine, plan):
    plan = changed(plan, {"new.model": f"{NEW}/16", "backfill.batch_size": 10})
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    expand(migration)
    embedder = load_embedder(plan.new.model)
    assert list(run_backfill(migration, embedder))[-1].done == len(TEXTS)
    stored = np.asarray(column_of(engine, migration, "new vector")[1])
    np.testing.assert_allclose(stored, embedder.embed_documents(TEXTS[:1])[0], atol=1e-3)
    assert stored.shape == (16,)
    assert Migration.open(plan, engine).new.space.model.endswith("/16")
