"""The figures of the plan against what then happens, on a table with room to be wrong in."""

import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.preview.figures import measure
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from tests.conftest import make_plan, make_table

ROWS = 3000
_SIZES = sa.text("""
    select pg_total_relation_size('"Amenities"') as total, pg_indexes_size('"Amenities"') as indexes
""")


@pytest.fixture
def table(engine, vertex, monkeypatch):
    """For a paid model of 768 dimensions, with its quota raised."""
    monkeypatch.setenv("GCP_PROJECT_ID", "p")
    monkeypatch.setenv("VERTEX_ENDPOINT", vertex.address)
    changes = {
        "new.model": "text-embedding-005", "backfill.batch_size": 200,
        "backfill.requests_per_minute": 100_000, "backfill.slow_factor": 1000.0,
    }  # fmt: skip
    plan = make_plan(changes)
    texts = [f"Place {n:05} is a shop. It sells things of number {n * 7919 % 97:03}, and more."
             for n in range(ROWS)]  # fmt: skip
    make_table(engine, plan, texts)
    with autocommit(engine) as connection:
        connection.exec_driver_sql('vacuum analyze "Amenities"')
    return Migration.open(plan, engine)


def test_rows_requests_tokens_and_money_are_exact_and_the_disk_is_within_a_fifth(engine, table):
    embedder = load_embedder("text-embedding-005")
    figures = measure(table, embedder).figures
    with engine.connect() as connection:
        before = connection.execute(_SIZES).one()
    expand(table)
    steps = list(run_backfill(table, embedder))
    with engine.connect() as connection:
        filled = connection.execute(_SIZES).one()
    built = index.build(table)
    (cost,) = read_costs(table)
    assert steps[-1].done == figures.rows == ROWS
    assert (cost.requests, cost.tokens) == (figures.requests, figures.tokens)
    assert round(cost.usd, 4) == figures.usd
    grown = filled.total - before.total + built.bytes
    assert figures.disk_bytes == pytest.approx(grown, rel=0.2)
