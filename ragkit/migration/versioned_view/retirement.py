"""The end of a view: the new column takes the usual name in the table itself, and the view goes.

An app that finds the view by its search_path then finds the table, under the same name and with the
same columns. One that names the view's schema keeps the view until it is moved back.
"""

from collections.abc import Iterator
from dataclasses import replace

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.schema.triggers import add_triggers_sql
from ragkit.migration.swap.names import record_names
from ragkit.migration.versioned_view import statements
from ragkit.migration.versioned_view.faults import needing, showing
from ragkit.migration.versioned_view.functions import drop_sql
from ragkit.retrieval import contract_changes

DROPPED = "view dropped"
"""An event."""
_IS_THERE = sa.text("""
    select starts_with(obj_description(to_regclass(:view), 'pg_class'), :mark)
""")
# What an idle session of another role has asked last can be seen by pg_monitor only.
_ASKING = sa.text("""
    select pid || coalesce(' (' || usename || ')', '') from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and query ilike any (:names)
    order by pid
""")
_LEFT_IN = sa.text("""
    select obj_description(n.oid, 'pg_namespace') is distinct from :mark or exists (
        select from pg_depend where refclassid = 'pg_namespace'::regclass and refobjid = n.oid)
    from pg_namespace n where n.nspname = :schema
""")


def is_there(connection: sa.Connection, migration: Migration) -> bool:
    """Whether the migration still has its view."""
    mark = f"{statements.MARK}{migration.id} ("
    values = {"view": statements.view_name(migration), "mark": mark}
    return bool(connection.scalar(_IS_THERE, values))


def take_usual_name(connection: sa.Connection, migration: Migration) -> None:
    """In the transaction that has dropped the old column. Contract, triggers and ledger follow."""
    plan, usual = migration.plan, migration.plan.old.declared
    later = replace(migration, plan=plan.renamed(plan.new.declared, usual))
    connection.exec_driver_sql(statements.rename_column(migration, plan.new.column, usual))
    contract_changes.rename(connection, plan.table.qualified_name, {plan.new.column: usual})
    for statement in add_triggers_sql(connection, later):
        connection.exec_driver_sql(statement)
    record_names(connection, later.plan)
    if is_there(connection, migration) and not why_kept(connection, migration):
        drop(connection, migration)


def why_kept(connection: sa.Connection, migration: Migration) -> str:
    """Why the view must stay; "" when nothing is known that speaks against its end."""
    app = migration.plan.app
    if app.view_by == "schema":
        return "app.view_by says that the app names its schema"
    schema = app.view_schema
    names = [f"%{name}.%" for name in {schema, quote_identifier(schema), f'"{schema}"'}]
    if asking := list(connection.scalars(_ASKING, {"names": names})):
        return f"sessions have asked for it by its schema: pid {', '.join(asking)}"
    return ""


def drop(connection: sa.Connection, migration: Migration) -> None:
    """The view with its functions, and its schema when ragkit has made it and nothing else is
    there."""
    for statement in (*drop_sql(connection, migration), *statements.drop_view(migration)):
        connection.exec_driver_sql(statement)
    schema = migration.plan.app.view_schema
    values = {"schema": schema, "mark": statements.SCHEMA_MARK}
    if connection.scalar(_LEFT_IN, values) is False:
        connection.exec_driver_sql(statements.drop_schema(migration))
    ledger.record(connection, migration.id, DROPPED, view=statements.view_name(migration))


def drop_if_unused(migration: Migration) -> str:
    """After the retirement. What became of the view, as a sentence; "" when there is none. Raises
    DatabaseError."""

    def change(connection: sa.Connection) -> None:
        if is_there(connection, migration) and not why_kept(connection, migration):
            for statement in statements.lock_view(migration):
                connection.exec_driver_sql(statement)
            drop(connection, migration)

    with translate_errors("dropping the view"):
        with migration.engine.connect() as connection:
            if not is_there(connection, migration):
                return ""
        run_online(migration, change)
        return describe_view(migration) or f"; the view {statements.view_name(migration)} is gone"


def describe_view(migration: Migration) -> str:
    """What to do about a view that is still there; "" when there is none."""
    with translate_errors("looking for the view"), migration.engine.connect() as connection:
        if migration.plan.app.way != "view" or not is_there(connection, migration):
            return ""
        plan, reason = migration.plan, why_kept(connection, migration)
    return (
        f"; the view {statements.view_name(migration)} stays and shows the table as it is now"
        f"{f' ({reason})' if reason else ''}: start the app with the schema "
        f"{plan.table.schema_name} again, then retire with app.view_by: search_path, which drops it"
    )


def retire_faults(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """What keeps the old column from being dropped."""
    if migration.plan.old.is_beside:
        return
    column, where = migration.plan.old.column, migration.terms.where
    if where and migration.plan.app.way == "view":
        quoted = quote_identifier(column)
        outside = (
            f"select exists (select from {migration.quoted_table} "
            f"where {quoted} is not null and ({where.sql}) is not true)"
        )
        if connection.exec_driver_sql(outside).scalar():
            yield (
                f"rows outside of table.where have vectors in {column}, whose name the "
                "new column would take: keep the view, and retire when their vectors are gone"
            )
    for name in showing(connection, migration, column):
        yield f"{name} shows {column}: replace it by one without, or drop it"
    for name in needing(connection, migration, column):
        yield f"{name} needs {column}: change it, or drop it"
