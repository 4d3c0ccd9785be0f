"""The retrieval service that the function puts behind HTTP: a question in, rows out."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.wire.ask_again import ask_again
from ragkit.embedding.embedder import Embedder
from ragkit.errors import SpaceNotReady
from ragkit.retrieval import contract, search
from ragkit.retrieval.space import Binding


@dataclass(frozen=True)
class Health:
    """The model that searches, and its column. `contract` is the space's fingerprint, "none"
    without a contract."""

    model: str
    column: str
    contract: str


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
    ):
        self._engine, self._embedder = engine, embedder
        self._table, self._columns = table, columns
        self._stock = stock
        self._refresh_seconds, self._clock = refresh_seconds, clock
        self._lock = threading.Lock()
        self._read_at = -float("inf")
        self._cached: tuple[Binding, bool] | None = None

    def search(self, question: str, limit: int) -> list[Mapping[str, Any]]:
        """The nearest rows, nearest first.

        Raises TextTooLong, ModelError, ContractError or DatabaseError.
        """
        vector = self._embedder.embed_query(question)

        def find(connection: sa.Connection) -> list[Mapping[str, Any]]:
            binding, _ = self._binding(connection)
            return search.nearest(
                connection, binding, vector, self._columns, limit, search.STATEMENT_MS
            )

        with translate_errors("search"):
            return ask_again(self._engine, find)

    def health(self) -> Health:
        """Looks at the contract, not at the table. Raises ContractError or DatabaseError."""
        with translate_errors("health check"):
            binding, in_contract = ask_again(self._engine, self._binding)
        fingerprint = binding.space.fingerprint if in_contract else "none"
        return Health(self._embedder.model.name, binding.column, fingerprint)

    def _binding(self, connection: sa.Connection) -> tuple[Binding, bool]:
        """The binding, and whether a contract gave it."""
        with self._lock:
            expired = self._clock() - self._read_at > self._refresh_seconds
            if self._cached is None or expired:
                self._cached = None
                binding, in_contract = contract.find_binding(
                    connection, self._table, self._embedder.model, self._stock
                )
                _require_column(connection, binding)
                self._cached, self._read_at = (binding, in_contract), self._clock()
            return self._cached


def _require_column(connection: sa.Connection, binding: Binding) -> None:
    names = contract.column_names(connection, binding.table).values()
    if not names:
        raise SpaceNotReady(f"the database has no table {binding.table}")
    if binding.column not in names:
        raise SpaceNotReady(
            f"{binding.table} has no column {binding.column} for {binding.space.model} yet: "
            "run the migration"
        )
