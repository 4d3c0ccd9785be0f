"""Makes the view: visible to nobody until a revision of the app looks into its schema."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.errors import SchemaError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.schema import statements as schema_statements
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.versioned_view import functions, statements
from ragkit.migration.versioned_view.faults import view_faults
from ragkit.migration.versioned_view.grants import grant_sql

MADE = "view made"
"""An event: `view` is its name."""
_STATE = sa.text("""
    select to_regnamespace(:schema) is not null as has_schema,
           to_regclass(:view) is not null as is_there,
           obj_description(to_regclass(:view), 'pg_class') as mark
""")


def make_view(migration: Migration) -> None:
    """In one transaction. Safe to repeat: rights that were granted meanwhile are repeated, and a
    view that no longer has the table's columns is made again.

    Raises SchemaError, with everything that is in the way, or DatabaseError.
    """
    with translate_errors("making the view"):
        run_online(migration, lambda connection: _make(connection, migration))


def make_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    """What is left to do."""
    schema = migration.plan.app.view_schema
    values = {"schema": quote_identifier(schema), "view": statements.view_name(migration)}
    state = connection.execute(_STATE, values).one()
    sql = [] if state.has_schema else statements.create_schema(migration)
    made = [statements.create_view(connection, migration)]
    if migration.plan.app.view_copy:
        made += statements.copy_sql(connection, migration)
    mark = statements.mark_of(migration, made)
    if state.mark != mark:
        if state.is_there:
            sql += [*functions.drop_sql(connection, migration), *statements.drop_view(migration)]
        sql += [*made, statements.comment_on_view(migration, mark)]
    sql += grant_sql(connection, migration)
    return [*sql, *functions.copy_sql(connection, migration)]


def _make(connection: sa.Connection, migration: Migration) -> None:
    for statement in schema_statements.lock_schema():
        connection.exec_driver_sql(statement)
    if faults := list(view_faults(connection, migration)):
        raise SchemaError(
            f"the view cannot be made: {'; '.join(faults)}; nothing was changed", faults
        )
    sql = make_sql(connection, migration)
    for statement in sql:
        connection.exec_driver_sql(statement)
    if any(statement.startswith("create view") for statement in sql):
        name = f"{migration.plan.app.view_schema}.{migration.plan.table.name}"
        ledger.record(connection, migration.id, MADE, view=name)
