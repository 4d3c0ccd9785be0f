"""What approximate search loses against exact search, and the time it saves, without a model.

A loss that the index causes would otherwise look like a loss of the model. The queries are stored
vectors, so no model is called.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import table_clause
from ragkit.database.translate import translate_errors
from ragkit.evaluation.label_free.index_settings import index_method, search_settings, set_locally
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.migration.migration import Migration
from ragkit.retrieval.search import distance_to, stored_vector
from ragkit.retrieval.space import Binding

MIN_QUERIES, MAX_QUERIES = 10, 50
MAX_SECONDS = 10.0
"""Exact search stops after this time, once it has MIN_QUERIES."""
TOLERANCE = 1e-6
"""Distances that differ by less are equal."""


@dataclass(frozen=True)
class IndexMeasurement:
    """One setting of the search in one column.

    `side` is "old" or "new". `setting` is "exact", or as in "hnsw.ef_search = 40"; `default` marks
    the one that the app uses. Recall is against exact search. Times are those of the search alone,
    in ms; with an index the shorter of two runs.
    """

    side: str
    column: str
    setting: str
    default: bool
    recall: Interval
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True)
class _Searches:
    """For each query the distances of its k nearest rows, of shape (k,), and the time in ms."""

    distances: list[np.ndarray]
    times_ms: np.ndarray


def measure_index(migration: Migration) -> list[IndexMeasurement]:
    """Both columns, exact search first. A column without a valid index has exact search alone.

    Rows at the same distance count as the same row, as in ANN-Benchmarks. Raises DatabaseError.
    """
    seed, measurements = migration.plan.evaluation.seed, []
    with translate_errors("measuring the index"), migration.engine.connect() as connection:
        for side, binding in (("old", migration.old), ("new", migration.new)):
            searches = _measure_column(connection, migration, binding)
            connection.rollback()
            for setting, (default, search) in searches.items():
                recall = bootstrap_interval(_recall(search, searches["exact"][1]), seed)
                p50, p95 = (float(np.percentile(search.times_ms, share)) for share in (50, 95))
                measurements.append(
                    IndexMeasurement(side, binding.column, setting, default, recall, p50, p95)
                )
    return measurements


def _measure_column(
    connection: sa.Connection, migration: Migration, binding: Binding
) -> dict[str, tuple[bool, _Searches]]:
    """For each setting whether the app uses it, and the searches; {} for a column without vectors.

    Leaves changed settings in the transaction.
    """
    k, vector = migration.plan.evaluation.k, migration.vector(binding.column)
    sample = migration.sample(vector, limit=MAX_QUERIES).where(vector.is_not(None))
    queries = connection.scalars(sample).all()
    if not queries:
        return {}
    method = index_method(connection, binding)
    set_locally(connection, enable_indexscan="off", enable_seqscan="on")
    exact = _search(connection, migration, binding, queries, MAX_SECONDS)
    searches = {"exact": (method is None, exact)}
    if method is None:
        return searches
    name, values, default = search_settings(method, k)
    set_locally(connection, enable_indexscan="on", enable_seqscan="off")
    queries = queries[: len(exact.distances)]
    _search(connection, migration, binding, queries[:MIN_QUERIES])  # fills the cache
    for value in values:
        set_locally(connection, **{name: str(value)})
        first, second = (_search(connection, migration, binding, queries) for _ in range(2))
        fastest = _Searches(first.distances, np.minimum(first.times_ms, second.times_ms))
        searches[f"{name} = {value}"] = value == default, fastest
    return searches


def _search(
    connection: sa.Connection,
    migration: Migration,
    binding: Binding,
    queries: Sequence[np.ndarray],
    max_seconds: float = np.inf,
) -> _Searches:
    """Searches with each query vector, and leaves out the nearest row: the query's own."""
    vector, k = stored_vector(binding), migration.plan.evaluation.k
    table = table_clause(binding.stored_in[0])
    distances: list[np.ndarray] = []
    times_ms: list[float] = []
    start = time.perf_counter()
    for query_vector in queries:
        if len(distances) >= MIN_QUERIES and time.perf_counter() - start > max_seconds:
            break
        distance = distance_to(binding, query_vector)
        query = sa.select(distance).select_from(table).where(vector.is_not(None))
        query = query.order_by(distance).limit(k + 1)
        search_start = time.perf_counter()
        nearest = connection.scalars(query).all()
        times_ms.append((time.perf_counter() - search_start) * 1000)
        distances.append(np.array(nearest[1:]))
    return _Searches(distances, np.array(times_ms))


def _recall(search: _Searches, exact: _Searches) -> np.ndarray:
    """By query, the share of rows as near as the last exact one; of shape (queries,)."""
    return np.array(
        [
            (distances <= best[-1] + TOLERANCE).sum() / len(best) if len(best) else 1.0
            for distances, best in zip(search.distances, exact.distances, strict=True)
        ]
    )
