import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.comparison.neighbours import neighbourhoods
from ragkit.embedders import load
from ragkit.errors import SpaceNotReady
from ragkit.migration import backfill, schema
from ragkit.migration.subject import Migration
from tests.conftest import make_table, set_new

ROWS = 60


@pytest.fixture
def both(engine, plan, new_embedder):
    make_table(engine, plan, [f"Place {n} is a shop number {n * 7919 % 97}." for n in range(ROWS)])
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    list(backfill.fill(migration, new_embedder))
    return migration


def test_a_rotated_space_has_the_same_neighbours(both):
    """Of 64 dimensions, a random rotation of the same vectors."""
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(ROWS, 64))
    set_new(both, vectors)
    same = both.reversed().reversed()
    rotation, _ = np.linalg.qr(rng.normal(size=(64, 64)))
    found = _against(same, np.pad(vectors @ rotation, ((0, 0), (0, 192))))
    assert (found.overlap.mean, round(found.cka.mean, 6), found.rows) == (1.0, 1.0, ROWS)
    assert (found.rbo.mean, round(found.spearman.mean, 6)) == (1.0, 1.0)
    assert found.cosine is None  # 256 and 64 dimensions have none


def test_random_vectors_share_what_chance_gives(both):
    rng = np.random.default_rng(2)
    set_new(both, rng.normal(size=(ROWS, 64)))
    found = neighbourhoods(both)
    expected = both.plan.k / (ROWS - 1)
    assert found.overlap.low < expected < found.overlap.high
    assert found.worst[0].overlap == found.by_row.min()


def test_the_row_itself_is_not_its_neighbour(both):
    found = neighbourhoods(both)
    for changed in found.worst:
        assert changed.row not in changed.nearest_before.split(", ")


def test_a_rerun_gives_the_same_figures(both):
    one, other = neighbourhoods(both), neighbourhoods(both)
    assert (one.overlap, one.rbo, one.spearman, one.cka) == (
        other.overlap, other.rbo, other.spearman, other.cka,
    )  # fmt: skip
    assert one.worst == other.worst


def test_rows_of_one_text_count_once(both):
    with both.engine.begin() as connection:
        alike = sa.update(both.table).where(both.key > ROWS - 10)
        connection.execute(alike.values(content="The same text for all of them."))
    list(backfill.fill(both, load(both.plan.new_model)))
    found = neighbourhoods(both)
    assert (found.rows, found.duplicates) == (ROWS - 9, 9)


def test_too_few_rows(migration):
    schema.expand(migration)
    with pytest.raises(SpaceNotReady, match="0 rows have both vectors"):
        neighbourhoods(migration)


def _against(migration, old):
    with migration.engine.begin() as connection:
        for key, vector in enumerate(old, 1):
            row = sa.update(migration.table).where(migration.key == key)
            connection.execute(row.values({migration.plan.old_column: vector}))
    return neighbourhoods(migration)
