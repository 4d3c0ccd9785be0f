import numpy as np
import pytest
import sqlalchemy as sa

from ragkit.retrieval.rescue.filling import Bought, Filling, write
from tests.conftest import TEXTS, column_of
from tests.retrieval.rescue.conftest import make_rescue


@pytest.fixture
def bought(new_embedder):
    return Bought(["2", "4"], [TEXTS[1], TEXTS[3]], new_embedder.embed_documents(TEXTS[1:4:2]))


def new_vectors(migration):
    found = column_of(migration.engine, migration, migration.plan.new.column)
    return {key: vector for key, vector in found.items() if vector is not None}


def test_the_vectors_land_beside_their_texts(rescued, bought):
    assert write(rescued.engine, rescued.new, make_rescue(rescued), bought) == 2
    stored = new_vectors(rescued)
    assert set(stored) == {2, 4}
    np.testing.assert_allclose(np.asarray(stored[4]), bought.vectors[1], atol=1e-6)


def test_a_vector_of_an_earlier_text_is_none(rescued, bought):
    with rescued.engine.begin() as connection:
        connection.exec_driver_sql(
            f"update {rescued.quoted_table} set content = 'other' where id = 4"
        )
    write(rescued.engine, rescued.new, make_rescue(rescued), bought)
    assert set(new_vectors(rescued)) == {2}


def test_a_row_that_is_locked_is_not_waited_for(rescued, bought):
    filling, plan = Filling(rescued.engine), make_rescue(rescued)
    with rescued.engine.begin() as app:
        app.exec_driver_sql(f"select from {rescued.quoted_table} where id = 4 for update")
        filling.offer(rescued.new, plan, bought)
        filling.wait()
        assert 2 in new_vectors(rescued)


def test_a_write_that_fails_is_logged_and_the_next_one_works(rescued, bought, caplog):
    filling, plan = Filling(rescued.engine), make_rescue(rescued)
    filling.offer(rescued.new, make_rescue(rescued, key_type="nonsense"), bought)
    filling.offer(rescued.new, plan, bought)
    filling.wait()
    assert 'type "nonsense" does not exist' in caplog.text
    assert set(new_vectors(rescued)) == {2, 4}


def test_a_role_that_may_not_write_still_answers(rescued, bought, caplog, server):
    with server.engine(database=rescued.engine.url.database).begin() as admin:
        admin.execute(sa.text('create role "reader" login'))
        admin.execute(sa.text("grant usage on schema public to reader"))
    try:
        reader = sa.create_engine(rescued.engine.url.set(username="reader"))
        filling = Filling(reader)
        filling.offer(rescued.new, make_rescue(rescued), bought)
        filling.wait()
        reader.dispose()
        assert "permission denied" in caplog.text
    finally:
        with server.engine(database=rescued.engine.url.database).begin() as admin:
            admin.execute(sa.text('drop owned by "reader"; drop role "reader"'))
