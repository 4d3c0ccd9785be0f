from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.search import DEFAULT_EF_SEARCH, MAX_EF_SEARCH, ef_search, nearest
from tests.conftest import TEXTS, make_table, set_new


def test_an_index_scan_returns_as_many_rows_as_the_limit(engine, plan, new_embedder):
    """pgvector looks at 40 candidates by default, fewer than the limit here."""
    make_table(engine, plan, [f"{text} {n}" for n in range(20) for text in TEXTS])
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    with engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        vector = new_embedder.embed_query("coffee")
        rows = nearest(connection, migration.new, vector, ["id"], 50)
    assert len({row["id"] for row in rows}) == 50


def test_rows_beyond_the_cutoff_are_not_returned(filled, new_embedder):
    vector = new_embedder.embed_query(TEXTS[3])
    with filled.engine.connect() as connection:
        rows = nearest(connection, replace(filled.new, cutoff=0.001), vector, ["name"], 6)
    assert [row["name"] for row in rows] == ["Bubbles"]


@pytest.mark.parametrize("cutoff", [None, 2.0])
def test_an_index_full_of_outdated_entries_returns_as_many_rows(filled, new_embedder, cutoff):
    """A row that is updated often leaves an entry each time, until the table is vacuumed, and an
    index scan counts them among its candidates."""
    index.build(filled)
    with autocommit(filled.engine) as connection:
        connection.exec_driver_sql('alter table "Amenities" set (autovacuum_enabled = false)')
    for turn in range(60):
        set_new(filled, np.random.default_rng(turn).normal(size=(6, 64)))
    with filled.engine.connect() as connection:
        connection.exec_driver_sql("set enable_seqscan = off")
        vector = new_embedder.embed_query("coffee")
        rows = nearest(connection, replace(filled.new, cutoff=cutoff), vector, ["id"], 5)
        assert connection.scalar(sa.text("show enable_indexscan")) == "on"
    assert len({row["id"] for row in rows}) == 5


@pytest.mark.parametrize(
    ("limit", "candidates"),
    [(1, DEFAULT_EF_SEARCH), (DEFAULT_EF_SEARCH, DEFAULT_EF_SEARCH), (50, 100),
     (10_000, MAX_EF_SEARCH)],
)  # fmt: skip
def test_ef_search_follows_the_limit_within_its_bounds(limit, candidates):
    assert ef_search(limit) == candidates
