"""What a rehearsal has spent is spent: it counts against the budget of the migration itself."""

from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.migration.backfill.model_calls.costs import SPENDING, ModelCost

REHEARSAL = ", rehearsal"
"""Behind the model's name in the ledger of costs."""


def book(connection: sa.Connection, migration: str, spent: Sequence[ModelCost]) -> None:
    """Adds it to what the rehearsals of this migration have cost before."""
    for cost in spent:
        counted = {"requests": cost.requests, "tokens": cost.tokens, "usd": cost.usd}
        row = {"migration": migration, "model": cost.model + REHEARSAL, **counted}
        sums = {name: SPENDING.c[name] + value for name, value in counted.items()}
        entry = insert(SPENDING).values(row)
        connection.execute(
            entry.on_conflict_do_update(index_elements=["migration", "model"], set_=sums)
        )
