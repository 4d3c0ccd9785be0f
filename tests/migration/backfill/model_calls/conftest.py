"""A table of 40 rows for a metered model, whose service is a stand-in."""

import pytest

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import changed, make_table

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
