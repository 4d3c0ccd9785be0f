"""A role that has nothing gets what is printed, as it is printed, and reaches the end."""

import re

import pytest
import sqlalchemy as sa

from ragkit.errors import DatabaseError, SchemaError
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.inventory import vector_columns
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import count_rows
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.schema.privileges import app_grants, readers
from ragkit.retrieval.service import SearchService
from tests.conftest import TEXTS, changed, make_table

STATEMENT = re.compile(r"(?:GRANT|ALTER|CREATE EXTENSION) [^;]*;")
SCHEMA = "Sales, north"


@pytest.fixture
def owner(server, database):
    """Of the table, its schema and the database: everything that the migration's role is not."""
    with server.engine().begin() as admin:
        for name in ("The Owner", "The Operator", "The App"):
            admin.exec_driver_sql(f'create role "{name}" login')
        admin.exec_driver_sql(f'alter database "{database.database}" owner to "The Owner"')
        admin.exec_driver_sql(f'revoke all on database "{database.database}" from public')
        admin.exec_driver_sql(f'grant connect on database "{database.database}" to public')
    with server.engine(database=database.database).begin() as admin:
        admin.exec_driver_sql(f'create schema "{SCHEMA}" authorization "The Owner"')
    engine = server.engine("The Owner", database.database)
    yield engine
    engine.dispose()
    with server.engine().connect() as admin:
        admin.connection.rollback()
        admin.execution_options(isolation_level="AUTOCOMMIT")
        admin.exec_driver_sql(f'drop database "{database.database}" with (force)')
        for name in ("The App", "The Operator", "The Owner"):
            admin.exec_driver_sql(f'drop role "{name}"')


@pytest.fixture
def own_plan(plan, owner):
    own = changed(plan, {"table.schema": SCHEMA, "index.type": "hnsw"})
    make_table(owner, own, TEXTS)
    return own


@pytest.fixture
def engine_of(server, database, owner):
    engines = []

    def make(role="postgres"):
        engines.append(server.engine(role, database.database))
        return engines[-1]

    yield make
    for engine in engines:
        engine.dispose()


def paste(engine, text):
    statements = STATEMENT.findall(text)
    assert statements, text
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement.replace("%", "%%"))
    return statements


def open_with_what_is_printed(plan, operator, admin):
    """The migration, and the statements that it took."""
    pasted = []
    for _ in range(5):
        try:
            return Migration.open(plan, operator), pasted
        except SchemaError as error:
            pasted += paste(admin, str(error))
    raise AssertionError(pasted)


@pytest.mark.parametrize("inherit", ["inherit", "noinherit"])
def test_what_is_printed_suffices_to_the_end(own_plan, engine_of, new_embedder, inherit):
    operator, admin = engine_of("The Operator"), engine_of()
    with admin.begin() as connection:
        connection.exec_driver_sql(f'alter role "The Operator" {inherit}')
    migration, pasted = open_with_what_is_printed(own_plan, operator, admin)
    assert any(line.startswith('GRANT "The Owner" TO "The Operator"') for line in pasted)
    vector_columns(migration)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    assert index.build(migration).valid
    migration.record(phases.CUT_OVER)
    with operator.begin() as connection:
        assert count_rows(connection, migration).filled == len(TEXTS)
        drop_old_column(connection, migration)


def test_the_apps_role_gets_what_is_printed_and_can_search(own_plan, engine_of, new_embedder):
    admin, app = engine_of(), engine_of("The App")
    migration, _ = open_with_what_is_printed(own_plan, engine_of("The Owner"), admin)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    service = SearchService(app, new_embedder, own_plan.table.qualified_name, ["name"])
    with pytest.raises(DatabaseError, match="permission denied"):
        service.search(TEXTS[3], 1)
    paste(admin, " ".join(app_grants("The App", SCHEMA, migration.quoted_table)))
    contract = Migration.open(own_plan, engine_of("The Owner"))
    with admin.begin() as connection:
        assert readers(connection, contract.quoted_table) == ["The App"]
        connection.exec_driver_sql("update ragkit.contract set state = 'ready'")
    assert service.search(TEXTS[3], 1).rows[0]["name"] == "Bubbles"


def test_a_superusers_table_is_not_got_by_membership_in_a_superuser(own_plan, engine_of):
    admin = engine_of()
    quoted = f'"{SCHEMA}"."{own_plan.table.name}"'
    with admin.begin() as connection:
        connection.exec_driver_sql(f"alter table {quoted} owner to postgres")
    _, pasted = open_with_what_is_printed(own_plan, engine_of("The Operator"), admin)
    assert f'ALTER TABLE {quoted} OWNER TO "The Operator";' in pasted
    assert not [line for line in pasted if "postgres" in line]


def test_another_operators_schema_is_named_with_its_owner(own_plan, engine_of):
    admin = engine_of()
    first, _ = open_with_what_is_printed(own_plan, engine_of("The Operator"), admin)
    expand(first)
    with admin.begin() as connection:
        connection.exec_driver_sql('create role "A Colleague" login in role "The Owner"')
    try:
        colleague = engine_of("A Colleague")
        again, pasted = open_with_what_is_printed(own_plan, colleague, admin)
        assert any(line.startswith('GRANT "The Operator" TO "A Colleague"') for line in pasted)
        assert expand(again) is False
    finally:
        colleague.dispose()
        with admin.begin() as connection:
            connection.exec_driver_sql('drop role "A Colleague"')


def test_a_table_that_may_not_be_read_is_reported_by_inspect(own_plan, engine_of):
    """Somebody else's, with vectors."""
    admin = engine_of()
    migration, _ = open_with_what_is_printed(own_plan, engine_of("The Operator"), admin)
    with admin.begin() as connection:
        connection.exec_driver_sql("create schema private")
        connection.exec_driver_sql("create table private.theirs (id int, v vector(3))")
    columns = {column.table: column for column in vector_columns(migration)}
    assert columns["private.theirs"].rows is None
    assert columns["private.theirs"].model == (
        'not read: GRANT SELECT ON private.theirs TO "The Operator";'
    )
    assert columns[f"{SCHEMA}.Amenities"].rows == len(TEXTS)


def test_forced_row_security_is_refused_unless_it_is_bypassed(own_plan, owner, engine_of):
    quoted = f'"{SCHEMA}"."{own_plan.table.name}"'
    with owner.begin() as connection:
        connection.exec_driver_sql(f"alter table {quoted} force row level security")
    with pytest.raises(SchemaError, match=r"rows that this role cannot see") as error:
        Migration.open(own_plan, owner)
    assert 'ALTER ROLE "The Owner" BYPASSRLS;' in paste(engine_of(), str(error.value))
    assert sa.inspect(owner).has_table(own_plan.table.name, schema=SCHEMA)
    Migration.open(own_plan, owner)
