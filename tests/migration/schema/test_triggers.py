import pytest
import sqlalchemy as sa

from tests.conftest import TEXTS, column_of


def update_first_row(migration, **values):
    with migration.engine.begin() as connection:
        connection.execute(sa.update(migration.table).where(migration.key == 1).values(values))


def new_vectors(migration):
    return column_of(migration.engine, migration, migration.plan.new.column)


def test_a_changed_text_clears_the_new_vector(filled):
    update_first_row(filled, content="Something else is a shop. New.")
    assert new_vectors(filled)[1] is None
    assert all(new_vectors(filled)[key] is not None for key in range(2, 7))


def test_another_change_keeps_the_new_vector(filled):
    vector = new_vectors(filled)[1]
    update_first_row(filled, name="Renamed")
    update_first_row(filled, content=TEXTS[0])
    assert new_vectors(filled)[1] == vector


def test_a_text_that_is_written_with_its_vector_keeps_it(filled, new_embedder):
    vector = new_embedder.embed_query("Both at once")
    update_first_row(filled, **{"content": "Both at once", "new vector": vector})
    assert new_vectors(filled)[1] == pytest.approx(vector.tolist())


def test_a_text_that_another_trigger_changes_clears_the_new_vector(filled):
    with filled.engine.begin() as connection:
        connection.exec_driver_sql(
            "create function shout() returns trigger language plpgsql as "
            "$$ begin new.content := upper(new.name); return new; end $$"
        )
        connection.exec_driver_sql(
            'create trigger shout before update on "Amenities" '
            "for each row execute function shout()"
        )
    update_first_row(filled, name="Loud")
    assert new_vectors(filled)[1] is None
