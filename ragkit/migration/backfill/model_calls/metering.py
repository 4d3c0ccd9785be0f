"""Quota, budget and cost ledger of a paid model.

The quota is one row that all processes share, by the generic cell rate algorithm (GCRA, ITU-T
I.371): each request is given its time, so that there are no bursts.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import Embedder, MeteredEmbedder
from ragkit.errors import BudgetExceeded
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.plan.steps import BackfillSection
from ragkit.migration.progress import coverage
from ragkit.migration.work import jobs
from ragkit.retrieval.contract import SCHEMA

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
QUESTIONS = ", questions"
"""Behind the model's name in the ledger: what the questions of a rescue have used of it."""
BATCHES = ", batches"
"""Behind it: what the jobs of its batch API have used, at their price; a job is one request."""
_RESERVE = sa.text(f"""
    update {SCHEMA}.quota
    set free_at = greatest(free_at, clock_timestamp()) + make_interval(secs => :seconds)
    where model = :model
    returning extract(epoch from free_at - clock_timestamp()) - :seconds
""")
_LOOK = sa.text(f"""
    select extract(epoch from free_at - clock_timestamp()) from {SCHEMA}.quota where model = :model
""")
"""Without a quota: the service may have refused a question, which has precedence."""


@dataclass(frozen=True)
class Quota:
    """Per minute; None is no limit."""

    requests: int | None
    tokens: int | None

    @classmethod
    def of(cls, model: Model, settings: BackfillSection) -> "Quota":
        """The plan's quota where it names one, else the catalogue's."""
        return cls(
            settings.requests_per_minute or model.requests_per_minute,
            settings.tokens_per_minute or model.tokens_per_minute,
        )

    def seconds(self, requests: int, tokens: int) -> float:
        """How long so many requests and tokens take at this rate."""
        by_requests = requests * 60 / self.requests if self.requests else 0.0
        by_tokens = tokens * 60 / self.tokens if self.tokens else 0.0
        return max(by_requests, by_tokens)


@dataclass(frozen=True)
class ModelCost:
    """Requests and tokens as the service counted them; money at the catalogue's price."""

    model: str
    requests: int
    tokens: int
    usd: float


@dataclass
class Reading:
    """What a meter shows while it runs: `usd` spent by this migration as the ledger last said;
    until `held_until`, by time.monotonic(), the quota holds a request of this process."""

    usd: float = 0.0
    held_until: float = 0.0

    @property
    def held(self) -> str:
        """ "" when no request waits for the quota."""
        seconds = self.held_until - time.monotonic()
        return f"the quota allows the next request in {seconds:.0f} s" if seconds >= 0.5 else ""


def meter_requests(
    migration: Migration, embedder: Embedder, reading: Reading | None = None
) -> Embedder:
    """The embedder with its requests held to quota and budget and recorded, if it is metered;
    `reading` is kept current."""
    if isinstance(embedder, MeteredEmbedder):
        return embedder.with_meter(CostMeter(migration, embedder.model, reading=reading))
    return embedder


def meter_questions(migration: Migration, embedder: Embedder) -> Embedder:
    """The embedder with its requests held to the quota, if it is metered, and recorded as those of
    questions, which no budget stops."""
    if isinstance(embedder, MeteredEmbedder):
        return embedder.with_meter(CostMeter(migration, embedder.model, are_questions=True))
    return embedder


class CostMeter:
    """A RequestMeter that keeps its books in the database."""

    def __init__(
        self,
        migration: Migration,
        model: Model,
        sleep: Callable[[float], None] = time.sleep,
        reading: Reading | None = None,
        are_questions: bool = False,
    ):
        self._migration, self._model, self._sleep = migration, model, sleep
        self._are_questions = are_questions
        self._reading = reading or Reading()
        self._quota = Quota.of(model, migration.plan.backfill)
        with translate_errors("opening the cost ledger"), migration.engine.begin() as connection:
            open_ledger(connection, model)

    def before(self, tokens: int) -> None:
        """Raises BudgetExceeded when `tokens` more would exceed the budget, DatabaseError."""
        seconds = self._quota.seconds(1, tokens)
        engine = self._migration.engine
        with translate_errors("reading the cost ledger"), engine.begin() as connection:
            if not self._are_questions:
                usd = self._model.price(tokens)
                self._reading.usd = require_budget(connection, self._migration, usd)
            names = {"model": self._model.served_name}
            if seconds:
                wait = connection.scalar(_RESERVE, {**names, "seconds": seconds})
            else:
                wait = connection.scalar(_LOOK, names)
        if wait is not None and wait > 0:
            self._reading.held_until = time.monotonic() + float(wait)
            self._sleep(float(wait))

    def after(self, tokens: int) -> None:
        """Raises DatabaseError."""
        name = self._model.name + (QUESTIONS if self._are_questions else "")
        usd, engine = self._model.price(tokens), self._migration.engine
        with translate_errors("writing the cost ledger"), engine.begin() as connection:
            record_cost(connection, self._migration, name, tokens, usd)
        self._reading.usd += usd

    def busy(self) -> None:
        """The pipeline sees it, and has fewer requests in flight."""


def require_budget(connection: sa.Connection, migration: Migration, usd: float) -> float:
    """What this migration has spent. Raises BudgetExceeded when `usd` more would exceed the budget
    that it shares with its siblings; what batches at the provider may cost counts as spent."""
    plan, siblings = migration.plan, migration.plan.siblings
    own = _sum_usd(_read_costs(connection, plan))
    others = _sum_usd(_read_costs(connection, *siblings)) if siblings else 0.0
    reserved = jobs.reserved_usd(connection, migration)
    budget = plan.backfill.budget_usd
    if budget and own + others + reserved + usd > budget:
        counts = coverage.estimate_rows(connection, migration)
        table = f" of {plan.name}" if siblings else ""
        of_others = f" and ${others:.4f} for the other tables" if siblings else ""
        raise BudgetExceeded(
            f"the budget of ${budget:g} is used up: ${own:.4f} spent{of_others}, "
            f"{counts.filled} rows{table} have vectors and {counts.pending} are pending. Raise "
            "backfill.budget_usd and run this again"
        )
    return own


def record_cost(
    connection: sa.Connection, migration: Migration, name: str, tokens: int, usd: float
) -> None:
    """Adds a request to what is recorded under this name."""
    row = {
        "migration": migration.id, "model": name, "requests": 1, "tokens": tokens, "usd": usd,
    }  # fmt: skip
    entry = insert(SPENDING).values(row)
    sums = {name: SPENDING.c[name] + row[name] for name in ("requests", "tokens", "usd")}
    update = entry.on_conflict_do_update(index_elements=["migration", "model"], set_=sums)
    connection.execute(update)


def open_ledger(connection: sa.Connection, model: Model) -> None:
    """Its tables, and the model's row of the quota. Safe to repeat."""
    _metadata.create_all(connection)
    row = {"model": model.served_name, "free_at": sa.func.clock_timestamp()}
    connection.execute(insert(QUOTA).values(row).on_conflict_do_nothing())


def read_usd(migration: Migration, *, with_siblings: bool = False) -> float:
    """What this migration, or all that share its budget, have cost so far, without questions; 0.0
    with models that cost nothing. Raises DatabaseError."""
    plans = (migration.plan, *(migration.plan.siblings if with_siblings else ()))
    with translate_errors("reading the cost ledger"), migration.engine.connect() as connection:
        return _sum_usd(_read_costs(connection, *plans))


def _sum_usd(costs: Sequence[ModelCost]) -> float:
    """Questions are asked anyway, and no budget may stop them."""
    return sum((cost.usd for cost in costs if not cost.model.endswith(QUESTIONS)), 0.0)


def read_costs(migration: Migration) -> list[ModelCost]:
    """By model, over all runs of this migration; the questions of a rescue by themselves. Raises
    DatabaseError."""
    with translate_errors("reading the cost ledger"), migration.engine.connect() as connection:
        return _read_costs(connection, migration.plan)


def _read_costs(connection: sa.Connection, *plans: Plan) -> list[ModelCost]:
    if not sa.inspect(connection).has_table(SPENDING.name, schema=SCHEMA):
        return []
    columns = (SPENDING.c[name] for name in ("model", "requests", "tokens", "usd"))
    query = sa.select(*columns).where(
        SPENDING.c.migration.in_([plan.migration_id for plan in plans])
    )
    return [ModelCost(*row) for row in connection.execute(query)]
