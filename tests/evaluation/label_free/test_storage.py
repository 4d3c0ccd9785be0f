import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.errors import SpaceNotReady
from ragkit.evaluation.label_free.storage import storage_variants
from ragkit.migration.schema import expansion
from tests.conftest import random_vectors, set_new

ROWS = 120


@pytest.fixture
def filled_migration(engine, plan):
    return random_vectors(engine, plan, ROWS)


def test_variants_have_their_sizes_and_losses(filled_migration):
    variants = {variant.type: variant for variant in storage_variants(filled_migration)}
    assert list(variants) == ["vector(64)", "halfvec(64)", "halfvec(32)"]
    full, half, short = variants.values()
    assert full.neighbours.mean == 1
    assert half.neighbours.mean > 0.98 > short.neighbours.mean
    # pgvector's README: 4 or 2 bytes a dimension and 8 more; PostgreSQL's short header saves 3.
    sizes = [variant.bytes_per_vector for variant in variants.values()]
    assert sizes == [264, 136, 69]
    assert full.index_bytes > short.index_bytes > 0
    assert {variant.rows for variant in variants.values()} == {ROWS}


def test_vectors_without_information_in_the_last_dimensions_can_be_shortened(filled_migration):
    vectors = np.random.default_rng(1).normal(size=(ROWS, 64))
    vectors[:, 32:] = 0
    set_new(filled_migration, vectors)
    assert storage_variants(filled_migration)[-1].neighbours.mean > 0.98


def test_no_temporary_table_remains(filled_migration):
    storage_variants(filled_migration)
    with filled_migration.engine.connect() as connection:
        count = "select count(*) from pg_class where relname like 'ragkit_variant%'"
        assert connection.scalar(sa.text(count)) == 0


def test_a_column_without_vectors_is_an_error(migration):
    expansion.expand(migration)
    with pytest.raises(SpaceNotReady, match="run the backfill"):
        storage_variants(migration)
