from dataclasses import replace
from datetime import time
from decimal import Decimal

import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.search import (
    DEFAULT_EF_SEARCH,
    DISTANCES,
    MAX_EF_SEARCH,
    ef_search,
    nearest,
)
from ragkit.retrieval.space import Binding, Space
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


def test_a_halfvec_column_is_searched_with_its_own_index(filled, new_embedder):
    """The vector is sent as one, and the server makes a halfvec of it."""
    column, vector = filled.plan.new.column, new_embedder.embed_query(TEXTS[3])
    half = replace(filled.new, column="half")
    with filled.engine.begin() as connection:
        expected = nearest(connection, filled.new, vector, ["id", "name"], 6)
        for statement in (
            'alter table "Amenities" add half halfvec(64)',
            f'update "Amenities" set half = "{column}"',
            'create index halves on "Amenities" using hnsw (half halfvec_cosine_ops)',
        ):
            connection.exec_driver_sql(statement)
    with filled.engine.begin() as connection:
        connection.exec_driver_sql("set local enable_seqscan = off")
        assert nearest(connection, half, vector, ["id", "name"], 6) == expected
        scans = "select pg_stat_get_xact_numscans('halves'::regclass)"
        assert connection.scalar(sa.text(scans)) == 1


def test_names_and_columns_of_any_kind_are_searched(engine, new_embedder):
    """Quotes, percent signs, and a column that is called as the distance is."""
    vector = new_embedder.embed_query("tea")
    with engine.begin() as connection:
        connection.exec_driver_sql('create schema "a "" % b"')
        connection.exec_driver_sql(
            'create table "a "" % b"."t %s" '
            '("?column?" int, "select" time, "o""ne" numeric, "v %" vector(64))'
        )
        connection.exec_driver_sql(
            f"""insert into "a "" % b"."t %s" values (7, '07:30', 1.50, '{vector.tolist()}')"""
        )
        space = Space("any", None, 64, "content")
        for distance in DISTANCES:
            binding = Binding('a " % b.t %s', "v %", space, distance)
            rows = nearest(connection, binding, vector, ["?column?", "select", 'o"ne'], 5)
            assert rows == [{"?column?": 7, "select": time(7, 30), 'o"ne': Decimal("1.50")}]


@pytest.mark.parametrize(
    ("limit", "candidates"),
    [(1, DEFAULT_EF_SEARCH), (DEFAULT_EF_SEARCH, DEFAULT_EF_SEARCH), (50, 100),
     (10_000, MAX_EF_SEARCH)],
)  # fmt: skip
def test_ef_search_follows_the_limit_within_its_bounds(limit, candidates):
    assert ef_search(limit) == candidates
