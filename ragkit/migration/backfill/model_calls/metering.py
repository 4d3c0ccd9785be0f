"""Requests to a paid model, held to quota and budget and recorded."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import Embedder, MeteredEmbedder
from ragkit.migration.backfill.model_calls import costs
from ragkit.migration.backfill.model_calls.costs import QUESTIONS, record_alone, require_budget
from ragkit.migration.backfill.model_calls.quota import Quota, open_quota, reserve
from ragkit.migration.migration import Migration
from ragkit.retry import retry_database

Sleep = Callable[[float], bool | None]
"""True when the time that a request was given has gone by meanwhile, so that it needs another."""


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
    migration: Migration,
    embedder: Embedder,
    reading: Reading | None = None,
    sleep: Sleep = time.sleep,
) -> Embedder:
    """The embedder with its requests held to quota and budget and recorded, if it is metered;
    `reading` is kept current."""
    if isinstance(embedder, MeteredEmbedder):
        return embedder.with_meter(CostMeter(migration, embedder.model, sleep, reading))
    return embedder


def meter_questions(migration: Migration, embedder: Embedder) -> Embedder:
    """The embedder with its requests held to the quota, if it is metered, and recorded as those of
    questions, which no budget stops."""
    if isinstance(embedder, MeteredEmbedder):
        return embedder.with_meter(CostMeter(migration, embedder.model, are_questions=True))
    return embedder


class CostMeter:
    """A RequestMeter that keeps its books in the database.

    The quota is taken by an estimate. By how much the service counted other tokens, the next
    request takes more or less of it.
    """

    def __init__(
        self,
        migration: Migration,
        model: Model,
        sleep: Sleep = time.sleep,
        reading: Reading | None = None,
        are_questions: bool = False,
    ):
        self._migration, self._model, self._sleep = migration, model, sleep
        self._are_questions = are_questions
        self._reading = reading or Reading()
        self._quota = Quota.of(model, migration.plan.backfill)
        self._difference, self._lock = 0, threading.Lock()
        self._asking = threading.local()
        with translate_errors("opening the cost ledger"), migration.engine.begin() as connection:
            open_ledger(connection, model)

    def before(self, tokens: int) -> None:
        """Raises BudgetExceeded when `tokens` more would exceed the budget, DatabaseError."""
        charged = tokens + self._take_difference()
        while wait := retry_database(self._reserve, tokens, charged):
            self._reading.held_until = time.monotonic() + wait
            if not self._sleep(wait):
                break
            charged = tokens
        self._asking.tokens = tokens

    def _reserve(self, tokens: int, charged: int) -> float:
        """How long to wait. Done twice, it costs its time twice."""
        engine = self._migration.engine
        with translate_errors("reading the cost ledger"), engine.connect() as connection:
            if not self._are_questions:
                usd = self._model.price(tokens)
                self._reading.usd = require_budget(connection, self._migration, usd)
            return reserve(connection, self._model, self._quota, charged)

    def after(self, tokens: int) -> None:
        """In the thread of its `before`. Raises DatabaseError."""
        with self._lock:
            self._difference += tokens - self._asking.tokens
        name = self._model.name + (QUESTIONS if self._are_questions else "")
        usd = self._model.price(tokens)
        retry_database(self._record, name, tokens, usd)
        self._reading.usd += usd

    def _record(self, name: str, tokens: int, usd: float) -> None:
        """Done twice, because an answer was lost, it counts twice: rather than not at all."""
        engine = self._migration.engine
        with translate_errors("writing the cost ledger"), engine.connect() as connection:
            record_alone(connection, self._migration, name, tokens, usd)

    def _take_difference(self) -> int:
        with self._lock:
            taken, self._difference = self._difference, 0
            return taken

    def busy(self) -> None:
        """The pipeline sees it, and has fewer requests in flight."""


def open_ledger(connection: sa.Connection, model: Model) -> None:
    """The tables of costs and quota, and the model's row of the quota. Safe to repeat."""
    costs.create_table(connection)
    open_quota(connection, model)
