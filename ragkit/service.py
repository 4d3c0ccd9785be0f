"""Questions in, rows out: the retrieval service that the function puts behind HTTP."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit import contract
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import SpaceNotReady
from ragkit.search import as_table, nearest


@dataclass(frozen=True)
class Health:
    """What /healthz answers: the model, its column, the share of rows that have a vector."""

    model: str
    column: str
    coverage: float
    contract: str


class SearchService:
    """Questions in, rows out, by the column that the contract gives to the embedder's model.

    The binding is read again every `refresh_seconds`, so a contract that changes is followed
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
        self._read_at, self._held = -float("inf"), None

    def search(self, question: str, limit: int) -> list[Mapping[str, object]]:
        """Raises TextTooLong, ModelError, ContractError or DatabaseError."""
        vector = self._embedder.embed_query(question)
        with plain_errors("search"), self._engine.connect() as connection:
            binding, _ = self._binding(connection)
            return nearest(connection, binding, vector, self._columns, limit)

    def health(self) -> Health:
        with plain_errors("health check"), self._engine.connect() as connection:
            binding, written = self._binding(connection)
            column = sa.column(binding.column)
            counts = sa.select(sa.func.count(), sa.func.count(column))
            rows, filled = connection.execute(counts.select_from(as_table(binding.table))).one()
        coverage = filled / rows if rows else 1.0
        return Health(
            self._embedder.model.name,
            binding.column,
            round(coverage, 4),
            binding.space.fingerprint if written else "none",
        )

    def _binding(self, connection: sa.Connection) -> tuple[contract.Binding, bool]:
        with self._lock:
            if self._clock() - self._read_at > self._refresh_seconds:
                self._held = None
                found, written = contract.binding_for(
                    connection, self._table, self._embedder.model, self._stock
                )
                self._require_column(connection, found)
                self._held, self._read_at = (found, written), self._clock()
            return self._held

    def _require_column(self, connection: sa.Connection, binding: contract.Binding) -> None:
        names = {c["name"] for c in _columns_of(connection, binding.table)}
        if binding.column not in names:
            raise SpaceNotReady(
                f"{binding.table} has no column {binding.column} for {binding.space.model} yet: "
                "run the migration"
            )


def _columns_of(connection: sa.Connection, name: str) -> list[dict]:
    schema, _, table = name.rpartition(".")
    inspector = sa.inspect(connection)
    if not inspector.has_table(table, schema=schema or None):
        raise SpaceNotReady(f"the database has no table {name}")
    return inspector.get_columns(table, schema=schema or None)
