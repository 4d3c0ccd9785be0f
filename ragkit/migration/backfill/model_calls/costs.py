"""The ledger of what models have cost, and the budget."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.own_tables import create_own_tables
from ragkit.database.translate import translate_errors
from ragkit.database.wire.round_trip import ask, ask_alone, integer, number
from ragkit.errors import BudgetExceeded
from ragkit.migration.backfill.model_calls.quota import SETTINGS
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.progress import coverage
from ragkit.migration.work import jobs
from ragkit.retrieval.contract import SCHEMA

SPENDING = sa.Table(
    "spending",
    sa.MetaData(schema=SCHEMA),
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
)
_RECORD = f"""
    insert into {SPENDING} as s (migration, model, requests, tokens, usd)
    values ($1::text, $2::text, 1, $3::bigint, $4::float8)
    on conflict (migration, model) do update set requests = s.requests + 1,
        tokens = s.tokens + excluded.tokens, usd = s.usd + excluded.usd
"""
QUESTIONS = ", questions"
"""Behind the model's name in the ledger: what the questions of a rescue have used of it."""
BATCHES = ", batches"
"""Behind it: what the jobs of its batch API have used, at their price; a job is one request."""


@dataclass(frozen=True)
class ModelCost:
    """Requests and tokens as the service counted them; money at the catalogue's price."""

    model: str
    requests: int
    tokens: int
    usd: float


@dataclass(frozen=True)
class Spent:
    """US dollars, of what one budget is for: by this migration, by its siblings, and what the jobs
    at the provider may cost."""

    own: float
    others: float
    reserved: float

    @property
    def total(self) -> float:
        return self.own + self.others + self.reserved


def create_table(connection: sa.Connection) -> None:
    """Safe to repeat."""
    create_own_tables(connection, SPENDING.metadata)


def require_budget(connection: sa.Connection, migration: Migration, usd: float) -> float:
    """What this migration has spent. Raises BudgetExceeded when `usd` more would exceed the budget
    that it shares with its siblings; what batches at the provider may cost counts as spent."""
    plan, siblings = migration.plan, migration.plan.siblings
    spent = read_spent(connection, migration)
    budget = plan.backfill.budget_usd
    if budget and spent.total + usd > budget:
        counts = coverage.estimate_rows(connection, migration)
        table = f" of {plan.name}" if siblings else ""
        of_others = f" and ${spent.others:.4f} for the other tables" if siblings else ""
        raise BudgetExceeded(
            f"the budget of ${budget:g} is used up: ${spent.own:.4f} spent{of_others}, "
            f"{counts.filled} rows{table} have vectors and {counts.pending} are pending. Raise "
            "backfill.budget_usd and run this again"
        )
    return spent.own


def read_spent(connection: sa.Connection, migration: Migration) -> Spent:
    siblings = migration.plan.siblings
    return Spent(
        own=_sum_usd(costs_of(connection, migration.plan)),
        others=_sum_usd(costs_of(connection, *siblings)) if siblings else 0.0,
        reserved=jobs.reserved_usd(connection, migration),
    )


def record_cost(
    connection: sa.Connection, migration: Migration, name: str, tokens: int, usd: float
) -> None:
    """Adds a request to what is recorded under this name, in the caller's transaction, in which
    something was asked before."""
    ask(connection, _RECORD, _values(migration, name, tokens, usd), {})


def record_alone(
    connection: sa.Connection, migration: Migration, name: str, tokens: int, usd: float
) -> None:
    """The same in a transaction of its own, in which no worker can be killed."""
    ask_alone(connection, _RECORD, _values(migration, name, tokens, usd), SETTINGS)


def _values(migration: Migration, name: str, tokens: int, usd: float) -> list[bytes]:
    return [migration.id.encode(), name.encode(), integer(tokens), number(usd)]


def read_usd(migration: Migration, *, with_siblings: bool = False) -> float:
    """What this migration, or all that share its budget, have cost so far, without questions; 0.0
    with models that cost nothing. Raises DatabaseError."""
    plans = (migration.plan, *(migration.plan.siblings if with_siblings else ()))
    with translate_errors("reading the cost ledger"), migration.engine.connect() as connection:
        return _sum_usd(costs_of(connection, *plans))


def _sum_usd(costs: Sequence[ModelCost]) -> float:
    """Questions are asked anyway, and no budget may stop them."""
    return sum((cost.usd for cost in costs if not cost.model.endswith(QUESTIONS)), 0.0)


def read_costs(migration: Migration) -> list[ModelCost]:
    """By model, over all runs of this migration; the questions of a rescue by themselves. Raises
    DatabaseError."""
    with translate_errors("reading the cost ledger"), migration.engine.connect() as connection:
        return costs_of(connection, migration.plan)


def costs_of(connection: sa.Connection, *plans: Plan) -> list[ModelCost]:
    """As read_costs, of all these plans."""
    if not sa.inspect(connection).has_table(SPENDING.name, schema=SCHEMA):
        return []
    columns = (SPENDING.c[name] for name in ("model", "requests", "tokens", "usd"))
    query = sa.select(*columns).where(
        SPENDING.c.migration.in_([plan.migration_id for plan in plans])
    )
    return [ModelCost(*row) for row in connection.execute(query)]
