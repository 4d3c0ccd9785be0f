"""What a row filter must not be: of no row, or of rows that are in another space's part."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.plan import Plan
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval import contract


def scope_faults(connection: sa.Connection, plan: Plan, terms: Terms) -> Iterator[str]:
    """One text for each, with the way out; for a migration that has not begun."""
    table = quote_identifier(plan.table.schema_name, plan.table.name)
    where = terms.where.sql if terms.where else ""
    if where and not _has_rows(connection, table, where):
        yield (
            f"no row of {plan.table.qualified_name} has table.where {plan.table.where}: "
            "check its values"
        )
    own = {plan.old.column, plan.new.column}
    for bound in contract.read_bindings(connection, plan.table.qualified_name):
        if bound.column not in own or bound.where == where or bound.side:
            continue
        if not where or not bound.where or _has_rows(connection, table, where, bound.where):
            yield (
                f"column {bound.column!r} is bound to {bound.space.model} for the rows where "
                f"{bound.where or 'true'}, and some of them are rows of this plan: set table.where "
                "so that no row is in both"
            )


def _has_rows(connection: sa.Connection, table: str, *conditions: str) -> bool:
    both = " and ".join(f"({condition})" for condition in conditions)
    return bool(
        connection.exec_driver_sql(f"select exists (select from {table} where {both})").scalar()
    )
