"""Search by an index of one bit a dimension, against brute force and by EXPLAIN."""

from dataclasses import replace

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pgvector import Vector

from ragkit.database.engine import autocommit
from ragkit.database.wire.round_trip import ask
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.quantised.bits import (
    DEFAULT_EF_SEARCH,
    MAX_EF_SEARCH,
    Bits,
    factors,
)
from ragkit.retrieval.search import DISTANCES, nearest, nearest_sql
from tests.conftest import changed, random_vectors, set_new

ROWS, OVERSAMPLING = 1500, 8
BINARY = {"index.type": "binary", "index.oversampling": OVERSAMPLING, "evaluation.k": 10}


@pytest.fixture
def wide(engine, plan) -> Migration:
    """Vectors of 64 dimensions in groups, with an index of their bits."""
    migration = random_vectors(engine, changed(plan, BINARY), ROWS)
    set_new(migration, vectors())
    index.build(migration)
    return replace(migration, known_new=replace(migration.new, oversampling=OVERSAMPLING))


def vectors():
    rng = np.random.default_rng(5)
    groups = rng.normal(size=(30, 64))
    return groups[np.arange(ROWS) % 30] + 0.6 * rng.normal(size=(ROWS, 64))


def brute_force(query, distance, limit):
    """Keys of the nearest rows, which count from 1."""
    rows = vectors().astype(np.float32).astype(float)
    away = {
        "cosine": 1 - rows @ query / np.linalg.norm(rows, axis=1) / np.linalg.norm(query),
        "l2": np.linalg.norm(rows - query, axis=1),
        "inner_product": -rows @ query,
    }
    return (np.argsort(away[distance])[:limit] + 1).tolist()


def queries(count=20):
    rng = np.random.default_rng(6)
    return vectors()[rng.choice(ROWS, count)] + 0.2 * rng.normal(size=(count, 64))


def found(migration, query, limit, **changes):
    binding = replace(migration.new, **changes)
    with migration.engine.connect() as connection:
        return [row["id"] for row in nearest(connection, binding, query, ["id"], limit)]


def mean_recall(migration, distance, **changes):
    shares = [
        len({*found(migration, query, 10, distance=distance, **changes)}
            & {*brute_force(query, distance, 10)}) / 10
        for query in queries()
    ]  # fmt: skip
    return np.mean(shares)


@pytest.mark.parametrize("distance", DISTANCES)
def test_it_finds_nearly_what_brute_force_finds_and_in_its_order(wide, distance):
    few, many = (mean_recall(wide, distance, oversampling=factor) for factor in (1, 64))
    assert 0.5 < few < many
    assert many > 0.98
    for query in queries(5):
        right, rows = brute_force(query, distance, ROWS), found(wide, query, 10, distance=distance)
        assert sorted(rows, key=right.index) == rows


def explain(migration, sql, bits, limit=10):
    """As the app asks, with its settings."""
    sql = sql.replace("$1", f"'{queries(1)[0].tolist()}'").replace("$2::bigint", str(limit))
    with migration.engine.begin() as connection:
        for name, value in bits.settings(limit).items():
            connection.exec_driver_sql(f"set local {name} = '{value}'")
        return "\n".join(connection.exec_driver_sql(f"explain {sql}").scalars())


@pytest.mark.parametrize("limit", [3, 50])
@pytest.mark.parametrize("distance", DISTANCES)
def test_its_index_is_used_whatever_the_limit(wide, distance, limit):
    """Also where the planner takes a search of the whole table for cheaper."""
    new, bits = wide.new, wide.new.bits
    sql = nearest_sql(new.table, new.column, distance, ("id", "name"), bits=bits)
    told = explain(wide, sql, bits, limit)
    assert "_binary" in told
    assert "Seq Scan" not in told


def test_the_search_itself_scans_the_index_once(wide):
    with wide.engine.begin() as connection:
        nearest(connection, wide.new, queries(1)[0], ["id"], 10)
        name = index.state(connection, wide).name
        scans = sa.text("select pg_stat_get_xact_numscans(to_regclass(:name))")
        assert connection.scalar(scans, {"name": f'"{name}"'}) == 1


def test_the_cut_off_and_rows_without_a_vector_hold(wide):
    query = queries(1)[0]
    nearest_row = found(wide, query, 1)[0]
    with wide.engine.begin() as connection:
        connection.execute(
            sa.update(wide.table)
            .where(wide.key == nearest_row)
            .values({wide.plan.new.column: None})
        )
    assert nearest_row not in found(wide, query, 10)
    assert found(wide, query, 10, cutoff=-1.0) == []
    assert 0 < len(found(wide, query, 500, cutoff=0.3)) < 500


def test_where_the_index_gives_too_few_the_whole_table_is_searched(wide):
    """Outdated entries fill the candidates, until a vacuum removes them."""
    with autocommit(wide.engine) as connection:
        connection.exec_driver_sql('alter table "Amenities" set (autovacuum_enabled = false)')
        connection.exec_driver_sql(f'delete from "Amenities" where id <= {ROWS - 6}')
    query = vectors()[ROWS // 2]
    rows = found(wide, query, 6, oversampling=1)
    alive = [key for key in brute_force(query, "cosine", ROWS) if key > ROWS - 6]
    assert rows == alive


def test_a_side_table_is_searched_by_its_bits(engine, plan, amenities, new_embedder):
    from ragkit.migration.backfill.pipeline import run_backfill

    beside = changed(plan, {**BINARY, "new.placement": "side_table"})
    migration = Migration.open(beside, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    query = new_embedder.embed_query("a silent room")
    bits = Bits(64, OVERSAMPLING)
    new = migration.new
    sql = nearest_sql(new.table, new.column, "cosine", ("id",), new.side, bits=bits)
    assert index.state(engine.connect(), migration).name in explain(migration, sql, bits)
    exact = found(migration, query, 6)
    assert found(migration, query, 6, oversampling=OVERSAMPLING) == exact


@given(st.integers(1, 2000), st.integers(1, 1000))
def test_candidates_are_enough_and_no_more_than_pgvector_takes(limit, oversampling):
    candidates = Bits(64, oversampling).candidates(limit)
    assert DEFAULT_EF_SEARCH <= candidates <= MAX_EF_SEARCH
    assert candidates >= min(limit * oversampling, MAX_EF_SEARCH)


@pytest.mark.parametrize(("limit", "oversampling"), [(3, 4), (10, 8), (50, 64), (2000, 1)])
def test_the_server_counts_them_alike(engine, limit, oversampling):
    bits = Bits(64, oversampling)
    sql = f"select length($1::text), {bits.candidates_sql}"
    with engine.connect() as connection:
        [[_, there]] = ask(connection, sql, [b"a", limit.to_bytes(8, "big")], {})
    assert there == bits.candidates(limit)


@given(st.integers(1, 1500))
def test_every_factor_that_is_tried_makes_a_difference(limit):
    counts = [Bits(64, factor).candidates(limit) for factor in factors(limit)]
    assert counts
    assert counts == sorted(set(counts))
    assert counts[-1] == MAX_EF_SEARCH


def test_bits_are_those_of_the_server(engine):
    vector = np.array([0.5, -0.5, 0.0, 1e-9], np.float32)
    with engine.connect() as connection:
        sql = f"select {Bits(4, 1).of_sql('$1::vector')}::text"
        assert ask(connection, sql, [Vector(vector).to_binary()], {}) == [["1001"]]


def test_a_filter_holds_and_leaves_as_many_rows(wide):
    """Where the candidates have too few of the filter's rows, the table is searched."""
    for query in queries(5):
        right = [key for key in brute_force(query, "cosine", ROWS) if key % 50 == 0][:10]
        assert found(wide, query, 10, where="id % 50 = 0", oversampling=1) == right
        many = found(wide, query, 10, where="id > 10", oversampling=64)
        assert len(many) == 10 and min(many) > 10
