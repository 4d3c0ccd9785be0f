import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.embedding.load import load_embedder
from ragkit.errors import SpaceNotReady
from ragkit.evaluation.label_free.neighbours import compare_neighbourhoods
from ragkit.migration.backfill import pipeline
from ragkit.migration.migration import Migration
from ragkit.migration.schema import expansion
from tests.conftest import make_table, set_new

ROWS = 60


@pytest.fixture
def filled_migration(engine, plan, new_embedder):
    make_table(engine, plan, [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(ROWS)])
    migration = Migration.open(plan, engine)
    expansion.expand(migration)
    list(pipeline.run_backfill(migration, new_embedder))
    return migration


def set_old(migration, vectors):
    """Writes the old vectors of rows 1, 2, …"""
    with migration.engine.begin() as connection:
        for key, vector in enumerate(vectors, 1):
            row = sa.update(migration.table).where(migration.key == key)
            connection.execute(row.values({migration.plan.old.column: vector}))


def test_a_rotated_space_has_the_same_neighbours(filled_migration):
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(ROWS, 64))
    rotation, _ = np.linalg.qr(rng.normal(size=(64, 64)))
    set_new(filled_migration, vectors)
    set_old(filled_migration, np.pad(vectors @ rotation, ((0, 0), (0, 192))))
    result = compare_neighbourhoods(filled_migration)
    assert (result.overlap.mean, round(result.cka.mean, 6), result.rows) == (1.0, 1.0, ROWS)
    assert (result.rbo.mean, round(result.spearman.mean, 6)) == (1.0, 1.0)
    assert result.cosine is None  # 256 and 64 dimensions


def test_random_vectors_share_neighbours_by_chance(filled_migration):
    set_new(filled_migration, np.random.default_rng(2).normal(size=(ROWS, 64)))
    result = compare_neighbourhoods(filled_migration)
    expected = filled_migration.plan.evaluation.k / (ROWS - 1)
    assert result.overlap.low < expected < result.overlap.high
    assert result.most_changed[0].overlap == result.by_row.min()


def test_a_row_is_not_its_own_neighbour(filled_migration):
    result = compare_neighbourhoods(filled_migration)
    for row in result.most_changed:
        assert row.row not in row.nearest_before.split(", ")


def test_two_comparisons_give_the_same_figures(filled_migration):
    first, second = (compare_neighbourhoods(filled_migration) for _ in range(2))
    for name in ("overlap", "rbo", "spearman", "cka", "most_changed"):
        assert getattr(first, name) == getattr(second, name)


def test_rows_with_the_same_text_count_once(filled_migration):
    with filled_migration.engine.begin() as connection:
        rows = sa.update(filled_migration.table).where(filled_migration.key > ROWS - 10)
        connection.execute(rows.values(content="The same text for all of them."))
    list(pipeline.run_backfill(filled_migration, load_embedder(filled_migration.plan.new.model)))
    result = compare_neighbourhoods(filled_migration)
    assert (result.rows, result.duplicates) == (ROWS - 9, 9)


def test_too_few_rows_are_an_error(migration):
    expansion.expand(migration)
    with pytest.raises(SpaceNotReady, match="at least 2 rows with both vectors, found 0"):
        compare_neighbourhoods(migration)
