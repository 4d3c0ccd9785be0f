"""What the two columns of a migration are called now: a swap and a retirement rename them.

A params file keeps the names that it began with. They are resolved here, by the ledger, when a
migration is opened, and nowhere else.
"""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration import ledger
from ragkit.migration.plan import Plan

RENAMED = "columns renamed"
"""An event: `old` and `new` are the names from then on."""


def current_plan(connection: sa.Connection, plan: Plan) -> Plan:
    """The plan with the names that the columns have now."""
    if not ledger.exists(connection):
        return plan
    event = ledger.EVENT.c
    query = sa.select(event.detail).where(event.migration == plan.migration_id)
    newest = query.where(event.kind == RENAMED).order_by(event.id.desc()).limit(1)
    if detail := connection.scalar(newest):
        return plan.renamed(detail["old"], detail["new"])
    return plan.renamed(plan.old.declared, plan.new.declared)


def record_names(connection: sa.Connection, plan: Plan, **detail: object) -> None:
    """Those of `plan`, for the migration and for its way back."""
    for side in (plan, plan.reversed()):
        names = {"old": side.old.column, "new": side.new.column}
        ledger.record(connection, side.migration_id, RENAMED, **names, **detail)


def unchanged_sql(plan: Plan) -> str:
    """A condition: the new column of `plan` still has its name. PostgreSQL asks it once in each
    statement, after the statement has locked the table, so that no rename comes between."""
    event = quote_identifier(ledger.EVENT.schema or "", ledger.EVENT.name)
    newest = (
        f"select detail ->> 'new' from {event} where migration = {quote_literal(plan.migration_id)}"
        f" and kind = {quote_literal(RENAMED)} order by id desc limit 1"
    )
    expected = quote_literal(plan.new.column)
    return f"coalesce(({newest}), {quote_literal(plan.new.declared)}) = {expected}"
