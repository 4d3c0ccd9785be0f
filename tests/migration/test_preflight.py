"""Every fault of a table is reported before anything is changed."""

import pytest
import sqlalchemy as sa

from ragkit.embedding.catalogue import find_model
from ragkit.errors import DatabaseUnavailable, SchemaError
from ragkit.migration.migration import Migration
from ragkit.migration.preflight import server_faults
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval import contract_changes
from ragkit.retrieval.space import Binding, Space
from tests.conftest import ROLE, changed


def fault(engine, plan, changes=None) -> str:
    with pytest.raises(SchemaError) as error:
        Migration.open(changed(plan, changes or {}), engine)
    message = str(error.value)
    assert "\n" not in message
    return message


def test_a_sound_table_passes_and_its_key_type_is_known(migration):
    assert migration.key_type == "integer"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"table.name": "amenities"}, "there is no table public.amenities"),
        ({"table.schema": "other"}, "there is no table other.Amenities"),
        ({"table.key": "ID"}, "no column 'ID' (set table.key); there are: id, name"),
        ({"table.content": "text"}, "no column 'text' (set table.content)"),
        ({"old.column": "vectors"}, "no column 'vectors' (set old.column)"),
        ({"table.key": "name"}, "key 'name' is not unique"),
        ({"table.content": "id"}, "content 'id' is integer, expected text"),
        (
            {"old.model": "all-minilm-l6-v2"},
            "'embedding' is vector(256), but all-minilm-l6-v2 makes 384",
        ),
        ({"new.column": "name"}, "column 'name' is text"),
    ],
)
def test_a_fault_is_reported_with_its_field(engine, plan, amenities, changes, message):
    assert message in fault(engine, plan, changes)


def test_all_faults_are_reported_together(engine, plan, amenities):
    message = fault(engine, plan, {"table.key": "x", "table.content": "y"})
    assert "'x'" in message
    assert "'y'" in message


def test_a_view_is_refused(engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('create view v as select * from "Amenities"')
    assert "neither a plain nor a partitioned table" in fault(engine, plan, {"table.name": "v"})


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ('alter table "Amenities" force row level security', "row-level security is forced"),
        (
            'alter table "Amenities" drop column content, '
            "add column content text generated always as (name || description) stored",
            "is a generated column",
        ),
        (
            'alter table "Amenities" add column "new vector" vector(64); '
            'update "Amenities" set "new vector" = array_fill(1, array[64])::vector where id < 3',
            "holds 2 vectors that no contract accounts for: ALTER TABLE",
        ),
        (
            'alter table "Amenities" drop constraint "Amenities_pkey", add primary key (id, name)',
            "key 'id' is not unique",
        ),
    ],
)
def test_a_table_that_cannot_be_migrated_safely_is_refused(
    engine, plan, amenities, statement, message
):
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert message in fault(engine, plan)


def test_an_empty_column_that_was_made_by_hand_is_used(engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column "new vector" vector(64)')
    assert expand(Migration.open(plan, engine)) is True


def test_a_database_without_pgvector_is_refused_with_the_command(server, plan):
    server.create("without vector", owner=ROLE)
    with server.engine(database="without vector").begin() as admin:
        admin.exec_driver_sql("drop extension vector")
        admin.exec_driver_sql(
            'create table "Amenities" (id int primary key, name text, content text)'
        )
        admin.exec_driver_sql(f'alter table "Amenities" owner to "{ROLE}"')
    engine = server.engine(ROLE, "without vector")
    assert "CREATE EXTENSION vector" in fault(engine, plan)
    engine.dispose()


def test_a_column_bound_to_another_space_is_refused(engine, plan, migration):
    """Of the same dimension: only the contract shows the difference."""
    expand(migration)
    with engine.begin() as connection:
        contract_changes.unbind(connection, plan.table.qualified_name, plan.old.column)
        other = Space(find_model("wordllama-256").name, None, 256, "name")
        contract_changes.bind(
            connection, Binding(plan.table.qualified_name, plan.old.column, other)
        )
    assert "their vectors do not compare" in fault(engine, plan)


def test_a_server_that_cannot_be_reached_is_unavailable(plan, tmp_path):
    engine = sa.create_engine(f"postgresql+pg8000://u:canary@/d?unix_sock={tmp_path}/none")
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as error:
        Migration.open(plan, engine)
    assert "canary" not in str(error.value)


def test_a_check_changes_nothing(engine, plan, amenities):
    columns = sa.inspect(engine).get_columns(plan.table.name)
    fault(engine, plan, {"table.key": "x"})
    Migration.open(plan, engine)
    assert len(sa.inspect(engine).get_columns(plan.table.name)) == len(columns)
    assert "ragkit" not in sa.inspect(engine).get_schema_names()


def test_a_new_column_without_a_dimension_is_refused_with_the_way_out(engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column "new vector" vector')
    assert fault(engine, plan, {"new.model": "wordllama-64"}).endswith(
        'ALTER TABLE public."Amenities" ALTER COLUMN "new vector" TYPE VECTOR(64)'
    )


def test_an_old_server_is_refused_with_what_it_is_and_what_is_needed():
    assert list(server_faults(140_000)) == []
    (fault,) = server_faults(130_014)
    assert "is PostgreSQL 13, expected 14 or newer" in fault
