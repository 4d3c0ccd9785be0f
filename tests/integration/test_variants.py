import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.comparison.variants import variants
from ragkit.errors import SpaceNotReady
from ragkit.migration import schema
from tests.conftest import random_vectors, set_new

ROWS = 120


@pytest.fixture
def rowed(engine, plan):
    return random_vectors(engine, plan, ROWS)


def test_forms_stand_side_by_side_with_their_sizes(rowed):
    found = {each.type: each for each in variants(rowed)}
    assert list(found) == ["vector(64)", "halfvec(64)", "halfvec(32)"]
    full, half, short = found.values()
    assert full.neighbours.mean == 1
    assert half.neighbours.mean > 0.98 > short.neighbours.mean
    # pgvector's README: 4 or 2 bytes a dimension and 8 more; PostgreSQL's short header saves 3
    assert [each.bytes_per_vector for each in found.values()] == [264, 136, 69]
    assert full.index_bytes > short.index_bytes > 0
    assert {each.rows for each in found.values()} == {ROWS}


def test_a_space_whose_first_dimensions_tell_all_may_be_shortened(rowed):
    vectors = np.random.default_rng(1).normal(size=(ROWS, 64))
    vectors[:, 32:] = 0
    set_new(rowed, vectors)
    assert variants(rowed)[-1].neighbours.mean > 0.98


def test_nothing_stays(rowed):
    variants(rowed)
    with rowed.engine.connect() as connection:
        left = "select count(*) from pg_class where relname like 'ragkit_variant%'"
        assert connection.scalar(sa.text(left)) == 0


def test_without_vectors_there_is_nothing_to_measure(migration):
    schema.expand(migration)
    with pytest.raises(SpaceNotReady, match="run the backfill"):
        variants(migration)
