import numpy as np
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ragkit.migration.backfill.writer import write_vectors
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from tests.conftest import TEXTS, column_of, make_table


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    texts=st.lists(
        st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"]), max_size=20),
        min_size=1, max_size=6,
    ),
    seed=st.integers(0, 2**32 - 1),
)  # fmt: skip
def test_vectors_are_read_back_bit_by_bit_and_written_once(engine, plan, texts, seed):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'drop table if exists "Amenities"; drop schema if exists ragkit cascade'
        )
    make_table(engine, plan, texts)
    migration = Migration.open(plan, engine)
    expand(migration)
    vectors = np.random.default_rng(seed).normal(size=(len(texts), 64)).astype(np.float32)
    keys = [str(n) for n in range(1, len(texts) + 1)]
    with engine.begin() as connection:
        assert write_vectors(connection, migration, keys, texts, vectors).landed == len(texts)
        second = write_vectors(connection, migration, keys, texts, -vectors)
        assert second.landed == 0  # the rows have vectors
    stored = column_of(engine, migration, "new vector")
    np.testing.assert_array_equal(np.array([stored[int(key)] for key in keys], np.float32), vectors)


def test_a_locked_row_is_not_waited_for_with_others_locked(migration, engine):
    """An application's: whoever writes one of the others would wait for it too."""
    expand(migration)
    keys, vectors = [str(n) for n in range(1, 7)], np.ones((6, 64), np.float32)
    with engine.connect() as app, engine.connect() as connection:
        app.execute(sa.select(migration.key).where(migration.key == 3).with_for_update())
        result = write_vectors(connection, migration, keys, TEXTS, vectors)
        assert (result.landed, result.others) == (5, [2])
        connection.commit()
    with engine.begin() as connection:
        result = write_vectors(connection, migration, keys[2:3], TEXTS[2:3], vectors[:1], wait=True)
    assert (result.landed, result.others) == (1, [])


def test_one_connection_writes_both_columns(filled, engine, old_embedder):
    """Of different dimensions, as a follower does after the cut-over."""
    new, old = np.ones((1, 64), np.float32), old_embedder.embed_documents(TEXTS[:1])
    with engine.connect() as connection:
        none = {"new vector": None, "embedding": None}
        connection.execute(sa.update(filled.table).where(filled.key == 1).values(none))
        connection.commit()
        for migration, vectors in ((filled, new), (filled.reversed(), old)):
            assert write_vectors(connection, migration, ["1"], TEXTS[:1], vectors).landed == 1
            connection.commit()
