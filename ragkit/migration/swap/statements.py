"""The statements of a swap, as text: run by a step, shown before it."""

from dataclasses import replace

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema.statements import MAX_NAME
from ragkit.migration.schema.triggers import add_triggers_sql
from ragkit.migration.versioned_view.statements import lock_texts, rename_column

SUFFIX = "_old"
"""Of the old column while the new one has its name."""


def is_swapped(plan: Plan) -> bool:
    """Whether the new column has the old one's name now."""
    return plan.new.column == plan.old.declared


def swapped(plan: Plan) -> Plan:
    """With the names after the swap."""
    start = plan.old.declared.encode()[: MAX_NAME - len(SUFFIX)].decode(errors="ignore")
    return plan.renamed(start + SUFFIX, plan.old.declared)


def swapped_back(plan: Plan) -> Plan:
    """With the names of the params file."""
    return plan.renamed(plan.old.declared, plan.new.declared)


def swap_sql(connection: sa.Connection, migration: Migration, later: Plan) -> list[str]:
    """Gives the columns the names that they have in `later`, and tells the triggers."""
    plan = migration.plan
    renames = [(plan.old.column, later.old.column), (plan.new.column, later.new.column)]
    if not is_swapped(later):  # the usual name must be free before the old column takes it
        renames.reverse()
    after = replace(migration, plan=later)
    return [
        *lock_sql(migration),
        *(rename_column(migration, *names) for names in renames),
        *add_triggers_sql(connection, after, found_as=plan.new.column),
        *add_triggers_sql(connection, after.reversed(), found_as=plan.old.column),
    ]


def lock_sql(migration: Migration) -> list[str]:
    """In the order in which the app takes the tables."""
    return [
        *lock_texts(migration),
        f"lock table {migration.quoted_table} in access exclusive mode",
    ]
