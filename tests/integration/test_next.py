"""params/next.yaml: from text-embedding-005 to gemini-embedding-001, whole or shortened."""

import pytest
import sqlalchemy as sa

from ragkit.comparison.neighbours import neighbourhoods
from ragkit.embedders.vertex import VertexEmbedder
from ragkit.migration import backfill, index, inspection, schema
from ragkit.migration.plan import Plan, parameters
from ragkit.migration.subject import Migration
from ragkit.models import find
from ragkit.service import SearchService
from tests.conftest import ROOT, TEXTS, make_table


@pytest.mark.parametrize(
    ("model", "kind"),
    [("gemini-embedding-001", "halfvec(3072)"), ("gemini-embedding-001/768", "vector(768)")],
)
def test_the_next_migration(engine, vertex, monkeypatch, model, kind):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    values = {**parameters(ROOT / "params" / "next.yaml"), "k": 3, "new_model": model}
    plan, embedder = Plan.of(values), VertexEmbedder(find(model), env)
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    assert list(backfill.fill(migration, embedder))[-1].done == len(TEXTS)
    assert index.build(migration).valid
    column = sa.text(
        "select format_type(atttypid, atttypmod) from pg_attribute where attname = :name"
    )
    with engine.connect() as connection:
        assert connection.scalar(column, {"name": plan.new_column}) == kind
    measured = {c.column: c for c in inspection.vector_columns(migration)}
    assert measured[plan.new_column].not_unit == 0
    assert neighbourhoods(migration).rows == len(TEXTS)
    service = SearchService(engine, embedder, plan.qualified, [plan.label])
    assert service.search(TEXTS[3], 1)[0][plan.label] == "Bubbles"
    assert {call[2] for call in vertex.calls if "gemini" in call[0]} == {1}
