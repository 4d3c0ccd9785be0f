"""Searches of one column, by query: exactly, and with the index at each of its settings."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import BIT, VECTOR

from ragkit.database.identifiers import table_clause
from ragkit.evaluation.index.settings import Index, set_locally
from ragkit.migration.migration import Migration
from ragkit.retrieval.quantised.bits import Bits
from ragkit.retrieval.search import distance_to, stored_vector
from ragkit.retrieval.space import Binding

MIN_QUERIES = 10
MAX_SECONDS = 10.0
"""Exact search stops after this time, once it has MIN_QUERIES."""


@dataclass(frozen=True)
class Searches:
    """For each query the distances of its k nearest rows, of shape (k,), and the time in ms."""

    distances: list[np.ndarray]
    times_ms: np.ndarray


@dataclass(frozen=True)
class ColumnSearch:
    """Changes settings of `connection`'s transaction. `of_rows`: each query is a row's own vector,
    and finds that row first, which does not count."""

    connection: sa.Connection
    migration: Migration
    binding: Binding
    queries: Sequence[np.ndarray]
    of_rows: bool

    def exactly(self) -> Searches:
        """Fewer queries where they take too long."""
        set_locally(self.connection, enable_indexscan="off", enable_seqscan="on")
        return self._search(self.queries, None, MAX_SECONDS)

    def by_setting(self, index: Index) -> dict[str, Searches]:
        """With the index."""
        set_locally(self.connection, enable_indexscan="on", enable_seqscan="off")
        self._search(self.queries[:MIN_QUERIES], self.binding.bits)  # fills the cache
        searches = {}
        for value in index.values:
            binding, settings = index.at(value)
            set_locally(self.connection, **settings)
            first, second = (self._search(self.queries, binding.bits) for _ in range(2))
            fastest = np.minimum(first.times_ms, second.times_ms)
            searches[index.label(value)] = Searches(first.distances, fastest)
        return searches

    def _search(
        self, queries: Sequence[np.ndarray], bits: Bits | None, max_seconds: float = np.inf
    ) -> Searches:
        """With `bits`, of the candidates that they give."""
        vector = stored_vector(self.binding)
        table = table_clause(self.binding.stored_in[0])
        limit = self.migration.plan.evaluation.k + self.of_rows
        distances: list[np.ndarray] = []
        times_ms: list[float] = []
        if bits:
            set_locally(self.connection, **bits.settings(limit))
        start = time.perf_counter()
        for query_vector in queries:
            if len(distances) >= MIN_QUERIES and time.perf_counter() - start > max_seconds:
                break
            distance = distance_to(self.binding, query_vector)
            query = sa.select(distance.label("away")).select_from(table)
            query = query.where(vector.is_not(None))
            if bits:
                nearby = _hamming_distance(vector, query_vector, bits)
                candidates = query.order_by(nearby).limit(bits.candidates(limit)).subquery()
                query = sa.select(candidates.c.away)
                query = query.order_by(candidates.c.away).limit(limit)
            else:
                query = query.order_by(distance).limit(limit)
            search_start = time.perf_counter()
            nearest = self.connection.scalars(query).all()
            times_ms.append((time.perf_counter() - search_start) * 1000)
            distances.append(np.array(nearest[self.of_rows :]))
        return Searches(distances, np.array(times_ms))


def _hamming_distance(
    stored: sa.ColumnElement[Any], vector: np.ndarray, bits: Bits
) -> sa.ColumnElement[Any]:
    """Between the bits of the stored vectors, as the index has them, and those of `vector`."""
    asked = sa.cast(sa.literal(vector, VECTOR), VECTOR)
    sides = (
        sa.cast(sa.func.binary_quantize(side), BIT(bits.dimension)) for side in (stored, asked)
    )
    left, right = sides
    return left.op("<~>")(right)
