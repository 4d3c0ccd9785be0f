"""The statements by which an app of a fixed column name comes to the new vectors."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.schema.triggers import add_triggers_sql, is_own
from ragkit.migration.swap.statements import is_swapped, swap_sql, swapped
from ragkit.migration.versioned_view import statements as view
from ragkit.migration.versioned_view.functions import drop_sql
from ragkit.migration.versioned_view.view import make_sql


@dataclass(frozen=True)
class WayStatement:
    """`is_exclusive`: nobody reads or writes the table meanwhile. `undo` is the way back."""

    sql: str
    is_exclusive: bool
    undo: str


def switch_statements(connection: sa.Connection, migration: Migration) -> Iterator[WayStatement]:
    """Of a cut-over, before the app is switched."""
    plan = migration.plan
    if plan.app.way == "view":
        for sql in make_sql(connection, migration):
            yield WayStatement(sql, False, f"DROP VIEW {view.view_name(migration)}")
    elif plan.app.way == "swap" and not is_swapped(plan):
        for sql in swap_sql(connection, migration, swapped(plan)):
            yield WayStatement(sql, not is_own(sql), "rollback, which swaps them back")


def retirement_statements(
    connection: sa.Connection, migration: Migration
) -> Iterator[WayStatement]:
    """After the old column is dropped."""
    plan = migration.plan
    if plan.app.way != "view":
        return
    usual = plan.old.declared
    later = replace(migration, plan=plan.renamed(plan.new.declared, usual))
    for sql in view.lock_view(migration):
        yield WayStatement(sql, True, "none")
    yield WayStatement(view.rename_column(migration, plan.new.column, usual), True, "none")
    for sql in add_triggers_sql(connection, later, found_as=plan.new.column):
        yield WayStatement(sql, not is_own(sql), "none")
    dropped = (*drop_sql(connection, migration), *view.drop_view(migration))
    for sql in (*dropped, view.drop_schema(migration)):
        yield WayStatement(sql, False, "none")


def as_retired(migration: Migration) -> Migration:
    """With the names that the columns will have when the old one is dropped."""
    plan = migration.plan
    return replace(migration, plan=swapped(plan)) if plan.app.way == "swap" else migration
