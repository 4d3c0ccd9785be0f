import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.evaluation.index import searches
from ragkit.evaluation.index.recall import measure_index
from ragkit.migration.migration import Migration
from ragkit.migration.schema import index
from tests.conftest import changed, random_vectors, set_new, with_plan

ROWS = 2000


@pytest.fixture
def filled_migration(engine, plan):
    """Random vectors, which are the hardest to index."""
    return random_vectors(engine, changed(plan, {"evaluation.k": 10}), ROWS)


def by_setting(measurements, side):
    return {m.setting: m for m in measurements if m.side == side}


def default_settings(measurements):
    return [m.setting for m in measurements.values() if m.default]


def test_recall_grows_with_the_candidates_and_exact_search_has_all(filled_migration):
    index.build(filled_migration)
    measurements = measure_index(filled_migration)
    old, new = (by_setting(measurements, side) for side in ("old", "new"))
    assert list(old) == ["exact"]
    assert old["exact"].default  # without an index the app's search is exact
    assert default_settings(new) == ["hnsw.ef_search = 40"]
    assert len(new) == 6  # ef_search = 10 is left out: an app with k = 10 needs more candidates
    recall = [m.recall.mean for m in new.values()]
    assert recall[0] == 1
    assert recall[1] > 0.5
    assert recall[1] <= recall[2] <= recall[5]
    assert recall[5] > 0.99
    assert all(0 < m.p50_ms <= m.p95_ms for m in new.values())


def test_ivfflat_is_measured_by_its_probes(filled_migration):
    plan = changed(filled_migration.plan, {"index.type": "ivfflat"})
    migration = Migration.open(plan, filled_migration.engine)
    index.build(migration)
    new = by_setting(measure_index(filled_migration), "new")
    assert default_settings(new) == ["ivfflat.probes = 1"]
    recall = [m.recall.mean for m in new.values()]
    assert recall[1] < 0.9  # one list of many misses most of the rows that are near
    assert recall[1] < recall[-1]


def test_an_index_for_another_distance_is_ignored(filled_migration):
    with filled_migration.engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw (embedding vector_l2_ops)'
        )
    assert list(by_setting(measure_index(filled_migration), "old")) == ["exact"]
    with filled_migration.engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw (embedding vector_cosine_ops)'
        )
    assert "hnsw.ef_search = 40" in by_setting(measure_index(filled_migration), "old")


def test_rows_at_the_same_distance_are_the_same(filled_migration):
    set_new(filled_migration, np.tile(np.eye(64)[:4], (ROWS // 4, 1)))
    index.build(filled_migration)
    new = by_setting(measure_index(filled_migration), "new")
    assert new["hnsw.ef_search = 320"].recall.mean == 1


def test_the_default_grows_with_k_as_in_the_app(filled_migration):
    index.build(filled_migration)
    migration = with_plan(filled_migration, {"evaluation.k": 50})
    new = by_setting(measure_index(migration), "new")
    assert default_settings(new) == ["hnsw.ef_search = 100"]
    assert "hnsw.ef_search = 40" not in new


def test_settings_stay_in_their_transaction(filled_migration):
    index.build(filled_migration)
    measure_index(filled_migration)
    with filled_migration.engine.connect() as connection:
        for name in ("enable_seqscan", "enable_indexscan"):
            assert connection.scalar(sa.text(f"show {name}")) == "on"


def test_a_large_table_is_searched_with_fewer_queries(filled_migration, monkeypatch):
    monkeypatch.setattr(searches, "MAX_SECONDS", 0.0)
    index.build(filled_migration)
    assert len(measure_index(filled_migration)) == 7
    assert searches.MIN_QUERIES == 10


@pytest.fixture
def bits(filled_migration):
    binary = {"index.type": "binary", "index.oversampling": 8}
    index.build(with_plan(filled_migration, binary))
    return filled_migration


def test_an_index_of_bits_is_measured_by_its_oversampling(bits):
    """The contract says that it is searched, and how far."""
    new = by_setting(measure_index(bits), "new")
    assert list(new) == ["exact", *(f"oversampling = {n}" for n in (4, 8, 16, 32, 64, 128))]
    assert default_settings(new) == ["oversampling = 8"]
    recall = [m.recall.mean for m in new.values()]
    assert recall[0] == 1
    assert 0.3 < recall[1] < recall[3] < recall[6]
    assert recall[6] > 0.97


def test_an_index_of_bits_that_the_contract_does_not_tell_is_not_used(filled_migration):
    with filled_migration.engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw '
            '((binary_quantize("new vector")::bit(64)) bit_hamming_ops)'
        )
    assert list(by_setting(measure_index(filled_migration), "new")) == ["exact"]


def test_an_index_of_bits_that_was_dropped_is_not_measured(bits):
    with bits.engine.begin() as connection:
        connection.exec_driver_sql('drop index "Amenities_new vector_binary"')
    assert list(by_setting(measure_index(bits), "new")) == ["exact"]
