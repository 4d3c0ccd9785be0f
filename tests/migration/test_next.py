"""params/next.yaml: from text-embedding-005 to gemini-embedding-001, full or shortened."""

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.embedding.providers.vertex import VertexEmbedder
from ragkit.evaluation.label_free.neighbours import compare_neighbourhoods
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.inventory import vector_columns
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.service import SearchService
from tests.conftest import ROOT, TEXTS, make_table


@pytest.mark.parametrize(
    ("model", "column_type"),
    [("gemini-embedding-001", "halfvec(3072)"), ("gemini-embedding-001/768", "vector(768)")],
)
def test_the_next_migration_runs_from_plan_to_search(
    engine, vertex, monkeypatch, model, column_type
):
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": vertex.address}
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    overrides = ["evaluation.k=3", "table.category=", f"new.model={model}"]
    plan = Plan.from_file(ROOT / "params" / "next.yaml", overrides)
    embedder = VertexEmbedder(find_model(model), env)
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    expand(migration)
    assert list(run_backfill(migration, embedder))[-1].done == len(TEXTS)
    assert index.build(migration).valid
    query = sa.text(
        "select format_type(atttypid, atttypmod) from pg_attribute where attname = :name"
    )
    with engine.connect() as connection:
        assert connection.scalar(query, {"name": plan.new.column}) == column_type
    columns = {column.column: column for column in vector_columns(migration)}
    assert columns[plan.new.column].not_unit == 0
    assert compare_neighbourhoods(migration).rows == len(TEXTS)
    service = SearchService(engine, embedder, plan.table.qualified_name, [plan.table.label])
    assert service.search(TEXTS[3], 1).rows[0][plan.table.label] == "Bubbles"
    assert {call[2] for call in vertex.calls if "gemini" in call[0]} == {1}
