import pytest
import sqlalchemy as sa

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.retrieval.contract import read_bindings
from tests.conftest import TEXTS, changed, column_of, make_table
from tests.migration.backfill.vectors import check_vectors


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


def run(migration, *statements):
    with migration.engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_a_session_that_replicates_clears_the_vector_too(filled, server):
    admin = server.engine(database=filled.engine.url.database)
    with admin.begin() as connection:
        connection.exec_driver_sql("set local session_replication_role = replica")
        connection.execute(
            sa.update(filled.table).where(filled.key == 1).values(content="Applied.")
        )
    admin.dispose()
    assert new_vectors(filled)[1] is None


@pytest.mark.parametrize("name", ["new", "key", "field", "old", "written"])
def test_a_column_may_have_any_name(engine, plan, new_embedder, name):
    """Also one that a function's body has a variable of."""
    plan = changed(plan, {"table.key": name, "new.column": f"{name}2"})
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    expand(migration)
    run(migration, f"insert into \"Amenities\" ({name}, content) values (100, 'New.')")
    run(migration, f"update \"Amenities\" set content = 'Edited.' where {name} = 1")
    list(run_backfill(migration, new_embedder))
    check_vectors(migration, new_embedder)


class TestRenamed:
    """Somebody swaps the columns by hand: no write of the app may fail."""

    def test_a_renamed_vector_column_is_still_cleared(self, filled):
        run(filled, 'alter table "Amenities" rename "new vector" to embedding_new')
        run(filled, "update \"Amenities\" set content = 'Renamed.' where id = 1")
        with filled.engine.connect() as connection:
            query = 'select id from "Amenities" where embedding_new is null'
            assert connection.exec_driver_sql(query).scalars().all() == [1]

    def test_a_renamed_content_column_is_still_watched(self, filled):
        run(filled, 'alter table "Amenities" rename content to body')
        run(filled, "update \"Amenities\" set body = 'Renamed.' where id = 1")
        with filled.engine.connect() as connection:
            query = 'select id from "Amenities" where "new vector" is null'
            assert connection.exec_driver_sql(query).scalars().all() == [1]

    def test_swapped_columns_are_followed_by_trigger_and_contract(self, filled):
        run(
            filled,
            'alter table "Amenities" rename embedding to embedding_old',
            'alter table "Amenities" rename "new vector" to embedding',
            "update \"Amenities\" set content = 'Swapped.' where id = 1",
        )
        with filled.engine.connect() as connection:
            query = 'select id from "Amenities" where embedding is null'
            assert connection.exec_driver_sql(query).scalars().all() == [1]
            query = 'select count(embedding_old) from "Amenities"'
            assert connection.exec_driver_sql(query).scalar() == len(TEXTS)
            bindings = read_bindings(connection, filled.plan.table.qualified_name)
        assert {binding.column: binding.space.model for binding in bindings} == {
            "embedding_old": "wordllama-256", "embedding": "tests.Letters",
        }  # fmt: skip

    def test_every_other_field_of_the_row_is_kept(self, filled):
        before = column_of(filled.engine, filled, "embedding")[1]
        update_first_row(filled, content='Quotes " and \\ and ü.')
        assert column_of(filled.engine, filled, "embedding")[1] == before
        assert column_of(filled.engine, filled, "content")[1] == 'Quotes " and \\ and ü.'

    def test_a_dropped_column_disarms_the_trigger(self, filled):
        run(filled, 'alter table "Amenities" drop column "new vector" cascade')
        run(filled, "update \"Amenities\" set content = 'Dropped.' where id = 1")
        run(filled, "insert into \"Amenities\" (id, content) values (100, 'New.')")
        with filled.engine.connect() as connection:
            faults = trigger_faults(connection, filled)
        assert [fault.partition(" is ")[2] for fault in faults] == ["missing"] * 2
