import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.comparison.index_share import FEWEST, index_share
from ragkit.migration import index
from ragkit.migration.subject import Migration
from tests.conftest import random_vectors, set_new

ROWS = 800


@pytest.fixture
def rowed(engine, plan):
    """Random vectors: the hardest to index."""
    plan = plan.model_copy(update={"k": 10})
    return random_vectors(engine, plan, ROWS)


def of(points, side):
    return {point.setting: point for point in points if point.side == side}


def test_recall_grows_with_the_candidates_and_exact_search_is_whole(rowed):
    index.build(rowed)
    old, new = (of(index_share(rowed), side) for side in ("old", "new"))
    assert list(old) == ["exact"]
    assert old["exact"].default  # no index: that is what the app does
    assert [p.setting for p in new.values() if p.default] == ["hnsw.ef_search = 40"]
    assert len(new) == 6  # as many candidates as rows asked for would be the first
    recall = [point.recall.mean for point in new.values()]
    assert recall[0] == 1
    assert 0.5 < recall[1] < 1  # twenty candidates of 800 random rows miss some
    assert recall[1] <= recall[2] <= recall[5]
    assert recall[5] > 0.99
    assert all(0 < p.p50_ms <= p.p95_ms for p in new.values())


def test_ivfflat_is_measured_by_its_probes(rowed):
    plan = rowed.plan.model_copy(update={"index_type": "ivfflat"})
    index.build(Migration.open(plan, rowed.engine))
    new = of(index_share(rowed), "new")
    assert [p.setting for p in new.values() if p.default] == ["ivfflat.probes = 1"]


def test_an_index_of_another_distance_is_none(rowed):
    with rowed.engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw (embedding vector_l2_ops)'
        )
    assert list(of(index_share(rowed), "old")) == ["exact"]
    with rowed.engine.begin() as connection:
        connection.exec_driver_sql(
            'create index on "Amenities" using hnsw (embedding vector_cosine_ops)'
        )
    assert "hnsw.ef_search = 40" in of(index_share(rowed), "old")


def test_rows_at_one_distance_are_the_same(rowed):
    set_new(rowed, np.tile(np.eye(64)[:4], (ROWS // 4, 1)))
    index.build(rowed)
    new = of(index_share(rowed), "new")
    assert new["hnsw.ef_search = 320"].recall.mean == 1


def test_more_rows_than_candidates_are_asked_for_as_the_app_does(rowed):
    plan = rowed.plan.model_copy(update={"k": 50})
    index.build(rowed)
    new = of(index_share(Migration.open(plan, rowed.engine)), "new")
    assert [p.setting for p in new.values() if p.default] == ["hnsw.ef_search = 100"]
    assert "hnsw.ef_search = 40" not in new


def test_settings_stay_in_their_transaction_and_nothing_is_written(rowed):
    index.build(rowed)
    index_share(rowed)
    with rowed.engine.connect() as connection:
        for name, value in (("enable_seqscan", "on"), ("enable_indexscan", "on")):
            assert connection.scalar(sa.text(f"show {name}")) == value


def test_a_large_table_is_asked_as_often_as_there_is_time(rowed, monkeypatch):
    monkeypatch.setattr("ragkit.comparison.index_share.SECONDS", 0.0)
    index.build(rowed)
    assert len(index_share(rowed)) == 7
    assert FEWEST == 10
