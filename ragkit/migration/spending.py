"""Spending: what a migration asked of a paid model, within its quota and its budget.

The quota is one row for all who share it, by the generic cell rate algorithm (GCRA, ITU-T
I.371): each request is given its time, so that there are no bursts, across processes too.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.contract import SCHEMA
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import BudgetSpent
from ragkit.migration import coverage
from ragkit.migration.subject import Migration

_metadata = sa.MetaData(schema=SCHEMA)
SPENDING = sa.Table(
    "spending",
    _metadata,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("requests", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
)
QUOTA = sa.Table(
    "quota",
    _metadata,
    sa.Column("model", sa.Text, primary_key=True),
    sa.Column("free_at", sa.DateTime(timezone=True), nullable=False),
)
_TAKE = sa.text(f"""
    update {SCHEMA}.quota
    set free_at = greatest(free_at, clock_timestamp()) + make_interval(secs => :seconds)
    where model = :model
    returning extract(epoch from free_at - clock_timestamp()) - :seconds
""")


@dataclass(frozen=True)
class Spent:
    """Requests and tokens as the service counted them; money at the catalogue's price."""

    model: str
    requests: int
    tokens: int
    usd: float


@contextmanager
def metered(migration: Migration, embedder: Embedder) -> Iterator[None]:
    """The embedder's requests within quota and budget, each in the ledger; a model without a
    meter costs nothing."""
    if not hasattr(embedder, "meter"):
        yield
        return
    embedder.meter = Meter(migration, embedder)
    try:
        yield
    finally:
        embedder.meter = None


class Meter:
    """A ragkit.embedders.Meter that keeps its books in the database."""

    def __init__(
        self, migration: Migration, embedder: Embedder, sleep: Callable[[float], None] = time.sleep
    ):
        self._migration, self._model, self._sleep = migration, embedder.model, sleep
        plan, model = migration.plan, embedder.model
        requests = plan.requests_per_minute or model.requests_per_minute
        tokens = plan.tokens_per_minute or model.tokens_per_minute
        self._per_request = 60 / requests if requests else 0.0
        self._per_token = 60 / tokens if tokens else 0.0
        with plain_errors("opening the cost ledger"), migration.engine.begin() as connection:
            _metadata.create_all(connection)
            row = {"model": model.served, "free_at": sa.func.clock_timestamp()}
            connection.execute(insert(QUOTA).values(row).on_conflict_do_nothing())

    def before(self, tokens: int) -> None:
        """Raises BudgetSpent when `tokens` more are beyond the budget."""
        seconds = max(self._per_request, tokens * self._per_token)
        with plain_errors("reading the cost ledger"), self._migration.engine.begin() as connection:
            self._require_budget(connection, tokens)
            take = {"seconds": seconds, "model": self._model.served}
            wait = connection.scalar(_TAKE, take) if seconds else 0.0
        if wait > 0:
            self._sleep(float(wait))

    def after(self, tokens: int) -> None:
        row = {
            "migration": self._migration.id, "model": self._model.name,
            "requests": 1, "tokens": tokens, "usd": self._usd(tokens),
        }  # fmt: skip
        entry = insert(SPENDING).values(row)
        more = {name: SPENDING.c[name] + row[name] for name in ("requests", "tokens", "usd")}
        update = entry.on_conflict_do_update(index_elements=["migration", "model"], set_=more)
        with plain_errors("writing the cost ledger"), self._migration.engine.begin() as connection:
            connection.execute(update)

    def _usd(self, tokens: int) -> float:
        return tokens * self._model.usd_per_million_tokens / 1e6

    def _require_budget(self, connection: sa.Connection, tokens: int) -> None:
        budget = self._migration.plan.budget_usd
        spent = sum(each.usd for each in _spent(connection, self._migration))
        if budget and spent + self._usd(tokens) > budget:
            now = coverage.count(connection, self._migration)
            raise BudgetSpent(
                f"the budget of ${budget:g} is spent: ${spent:.4f} so far, {now.filled} rows have "
                f"vectors and {now.pending} are pending. Raise budget_usd and run this again"
            )


def spent(migration: Migration) -> list[Spent]:
    """By model, over all runs of this migration."""
    with plain_errors("reading the cost ledger"), migration.engine.connect() as connection:
        return _spent(connection, migration)


def _spent(connection: sa.Connection, migration: Migration) -> list[Spent]:
    if not sa.inspect(connection).has_table(SPENDING.name, schema=SCHEMA):
        return []
    columns = (SPENDING.c[name] for name in ("model", "requests", "tokens", "usd"))
    query = sa.select(*columns).where(SPENDING.c.migration == migration.id)
    return [Spent(*row) for row in connection.execute(query)]
