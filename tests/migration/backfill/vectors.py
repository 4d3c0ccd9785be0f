"""What every backfill must leave: the vector of each row's text, and no other."""

import numpy as np
import sqlalchemy as sa

from ragkit.embedding.embedder import Embedder
from ragkit.migration.migration import Migration
from tests.conftest import column_of


def check_vectors(migration: Migration, embedder: Embedder) -> None:
    """Embeds every text again, with no regard to what the library has recorded."""
    texts = column_of(migration.engine, migration, migration.plan.table.content)
    for key, vector in column_of(migration.engine, migration, migration.plan.new.column).items():
        if texts[key] is None or not texts[key].strip():
            assert vector is None
        else:
            np.testing.assert_allclose(vector, embedder.embed_query(texts[key]), atol=1e-6)


def check_no_orphans(migration: Migration) -> None:
    """A side table holds one vector for each row that has one, and none of an earlier text."""
    if migration.new_side is None:
        return
    with migration.engine.connect() as connection:
        stored = connection.scalar(sa.text(f"select count(*) from {migration.new_side.name}"))
        filled = connection.scalar(migration.select(sa.func.count(migration.new_vector)))
    assert stored == filled
