"""The retrieval service that the function puts behind HTTP: a question in, rows out."""

import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.ask_again import ask_again
from ragkit.embedding.embedder import Embedder
from ragkit.errors import DatabaseError
from ragkit.retrieval import contract, search
from ragkit.retrieval.rescue.coverage import estimate_coverage
from ragkit.retrieval.rescue.search import RescuedSearch
from ragkit.retrieval.route import NATIVE, RESCUE, Route, find_route

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Health:
    """The model that searches, and its column. `contract` is the space's fingerprint, "none"
    without a contract. `served_by` is NATIVE or RESCUE, and `coverage` then the share of the rows
    that have their vector, by a sample."""

    model: str
    column: str
    contract: str
    served_by: str
    coverage: float | None = None


@dataclass(frozen=True)
class Answer:
    """Rows, nearest first, and the search that found them. `degraded` says what a rescued answer
    lacks; "" for nothing."""

    rows: list[Mapping[str, Any]]
    served_by: str = NATIVE
    degraded: str = ""


class SearchService:
    """Searches the column that the contract gives to the embedder's model.

    The binding is read again every `refresh_seconds`, so that a changed contract is followed
    without a restart. Safe to share between threads.
    """

    def __init__(
        self,
        engine: sa.Engine,
        embedder: Embedder,
        table: str,
        columns: Sequence[str],
        stock: Mapping[str, str] = contract.STOCK_COLUMNS,
        refresh_seconds: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
        model_seconds: float = float("inf"),
    ):
        """A rescued search waits for the model for `model_seconds` at most."""
        self._engine, self._embedder = engine, embedder
        self._table, self._columns = table, columns
        self._stock = stock
        self._refresh_seconds, self._clock = refresh_seconds, clock
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._cached: Route | None = None
        self._model_seconds = model_seconds
        self._rescued: RescuedSearch | None = None

    def search(self, question: str, limit: int) -> Answer:
        """The nearest rows; those of the rescued search while the column is filling and the
        contract has a rescue.

        Raises TextTooLong, ModelError, ContractError or DatabaseError.
        """
        known = self._cached or self._ask_route("search")  # a rescue answers without the model too
        if known.rescue:
            return self._search_rescued(question, limit)
        vector = self._embedder.embed_query(question)

        def find(connection: sa.Connection) -> list[Mapping[str, Any]] | None:
            route = self._route(connection)
            if route.rescue:
                return None
            return search.nearest(
                connection, route.binding, vector, self._columns, limit, search.STATEMENT_MS
            )

        with translate_errors("search"):
            rows = ask_again(self._engine, find)
        return self._search_rescued(question, limit) if rows is None else Answer(rows)

    def _search_rescued(self, question: str, limit: int) -> Answer:
        route = self._ask_route("search")
        if route.rescue is None:  # complete since
            return self.search(question, limit)
        found = self._rescue().search(route.binding, route.rescue, route.old, question, limit)
        return Answer(found.rows, RESCUE, found.degraded)

    def _rescue(self) -> RescuedSearch:
        """Made once: it has a thread."""
        with self._lock:
            if self._rescued is None:
                self._rescued = RescuedSearch(
                    self._engine, self._embedder, self._columns, self._model_seconds
                )
            return self._rescued

    def health(self) -> Health:
        """Looks at the contract, and only for `coverage` at a few pages of the table, which may
        fail. Raises ContractError or DatabaseError."""
        route = self._ask_route("health check")
        binding = route.binding
        fingerprint = binding.space.fingerprint if route.in_contract else "none"
        served_by = RESCUE if route.rescue else NATIVE
        name = self._embedder.model.name
        return Health(name, binding.column, fingerprint, served_by, self._coverage(route))

    def _coverage(self, route: Route) -> float | None:
        if not (plan := route.rescue):
            return None
        estimate = partial(estimate_coverage, binding=route.binding, plan=plan)
        try:
            with translate_errors("estimating the coverage"):
                return ask_again(self._engine, estimate)
        except DatabaseError as error:
            log.warning("%s", error)
            return None

    def _ask_route(self, action: str) -> Route:
        with translate_errors(action):
            return ask_again(self._engine, self._route)

    def _route(self, connection: sa.Connection) -> Route:
        with self._lock:
            expired = self._clock() - self._read_at > self._refresh_seconds
            if self._cached is None or expired:
                self._cached = None
                self._cached = find_route(
                    connection, self._table, self._embedder.model, self._stock
                )
                self._read_at = self._clock()
            return self._cached
