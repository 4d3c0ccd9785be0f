"""Every fault of a database is told before anything is changed."""

import pytest
import sqlalchemy as sa

from ragkit import contract
from ragkit.contract import Binding, Space
from ragkit.errors import DatabaseUnavailable, SchemaError
from ragkit.migration import schema
from ragkit.migration.subject import Migration
from ragkit.models import find
from tests.conftest import ROLE


def fault(engine, plan, **changes) -> str:
    with pytest.raises(SchemaError) as caught:
        Migration.open(plan.model_copy(update=changes), engine)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_good_database_passes_and_tells_the_keys_type(migration):
    assert migration.key_type == "integer"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"table": "amenities"}, "there is no table public.amenities"),
        ({"table_schema": "other"}, "there is no table other.Amenities"),
        ({"key": "ID"}, "no column 'ID' (set key); there are: id, name"),
        ({"content": "text"}, "no column 'text' (set content)"),
        ({"old_column": "vectors"}, "no column 'vectors' (set old_column)"),
        ({"key": "name"}, "key 'name' is not unique"),
        ({"content": "id"}, "content 'id' is integer, expected text"),
        (
            {"old_model": "all-minilm-l6-v2"},
            "'embedding' is vector(256), but all-minilm-l6-v2 makes 384",
        ),
        ({"new_column": "name"}, "column 'name' is text"),
    ],
)
def test_faults(engine, plan, amenities, changes, says):
    assert says in fault(engine, plan, **changes)


def test_all_faults_come_at_once(engine, plan, amenities):
    message = fault(engine, plan, key="x", content="y")
    assert "'x'" in message
    assert "'y'" in message


def test_a_view_is_refused(engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('create view v as select * from "Amenities"')
    assert "no plain table" in fault(engine, plan, table="v")


@pytest.mark.parametrize(
    ("statement", "says"),
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
def test_tables_that_cannot_be_migrated_safely(engine, plan, amenities, statement, says):
    with engine.begin() as connection:
        connection.exec_driver_sql(statement)
    assert says in fault(engine, plan)


def test_a_partitioned_table_is_refused(engine, plan):
    with engine.begin() as connection:
        connection.exec_driver_sql(
            'create table "Amenities" (id int, name text, content text, embedding vector(256)) '
            "partition by range (id)"
        )
    assert "no plain table (relkind p)" in fault(engine, plan)


def test_an_empty_column_made_by_hand_is_taken_over(engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" add column "new vector" vector(64)')
    assert schema.expand(Migration.open(plan, engine)) is True


def test_no_pgvector(server, plan):
    server.create("without vector", owner=ROLE)
    with server.engine(database="without vector").begin() as admin:
        admin.exec_driver_sql("drop extension vector")
        admin.exec_driver_sql(
            'create table "Amenities" (id int primary key, name text, content text)'
        )
    engine = server.engine(ROLE, "without vector")
    assert "CREATE EXTENSION vector" in fault(engine, plan)
    engine.dispose()


def test_a_role_without_rights_is_told_which(server, engine, plan, amenities):
    with engine.begin() as connection:
        connection.exec_driver_sql('grant select on "Amenities" to public')
    with server.engine().begin() as admin:
        if not admin.scalar(sa.text("select 1 from pg_roles where rolname = 'reader'")):
            admin.exec_driver_sql("create role reader login")
    reader = server.engine("reader", engine.url.database)
    message = fault(reader, plan)
    assert f"GRANT {ROLE} TO it" in message
    assert "GRANT CREATE ON DATABASE" in message
    reader.dispose()


def test_a_column_bound_to_another_space_is_refused(engine, plan, migration):
    """Of the same dimension: nothing but the contract can tell the difference."""
    schema.expand(migration)
    with engine.begin() as connection:
        contract.unbind(connection, plan.qualified, plan.old_column)
        other = Space(find("wordllama-256").name, None, 256, "name")
        contract.bind(connection, Binding(plan.qualified, plan.old_column, other))
    assert "their vectors do not compare" in fault(engine, plan)


def test_no_server(plan, tmp_path):
    engine = sa.create_engine(f"postgresql+pg8000://u:canary@/d?unix_sock={tmp_path}/none")
    with pytest.raises(DatabaseUnavailable, match="cannot be reached") as caught:
        Migration.open(plan, engine)
    assert "canary" not in str(caught.value)


def test_nothing_was_changed(engine, plan, amenities):
    before = sa.inspect(engine).get_columns(plan.table)
    fault(engine, plan, key="x")
    Migration.open(plan, engine)
    assert len(sa.inspect(engine).get_columns(plan.table)) == len(before)
    assert "ragkit" not in sa.inspect(engine).get_schema_names()
