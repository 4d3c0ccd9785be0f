"""Why the names of two columns cannot be swapped: objects that somebody made by hand."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.versioned_view.faults import showing

_COLUMNS = sa.text("""
    select attname from pg_attribute
    where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped
""")


def swap_faults(connection: sa.Connection, migration: Migration, later: Plan) -> Iterator[str]:
    """Each with the way out. `later` has the names after the swap."""
    plan, table = migration.plan, migration.quoted_table
    own = {plan.old.column, plan.new.column}
    taken = set(connection.scalars(_COLUMNS, {"table": table})) - own
    for name in sorted({later.old.column, later.new.column} & taken):
        column = quote_identifier(name)
        yield (
            f"the table has a column {name!r}, a name that the swap needs: "
            f"ALTER TABLE {table} RENAME COLUMN {column} TO …"
        )
    for name in showing(connection, migration, *own):
        yield (
            f"{name} would go on to show the column that it shows now, whatever its name: drop it, "
            "and make it again after the swap"
        )
