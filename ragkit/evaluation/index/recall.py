"""What approximate search finds of exact search, and the time it saves, without a model.

The queries are questions where there are some: they lie further from the rows than the rows from
one another, and an index finds less for them. Without questions they are stored vectors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.evaluation.index.searches import ColumnSearch, Searches
from ragkit.evaluation.index.settings import EXACT, Index, find_index
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.runs import RetrievalRun
from ragkit.migration.migration import Migration
from ragkit.retrieval.contract import as_served
from ragkit.retrieval.space import Binding

MAX_ROWS, MAX_QUESTIONS = 50, 100
"""Queries at each setting; the app's own has all questions."""
TOLERANCE = 1e-6
"""Distances that differ by less are equal."""


@dataclass(frozen=True)
class IndexMeasurement:
    """One setting of the search in one column.

    `side` is "old" or "new". `setting` is "exact", or as in "hnsw.ef_search = 40"; `default` marks
    the one that the app uses. Recall is against exact search, over `n` queries, which are
    "questions" or "rows". Times are those of the search alone, in ms; with an index the shorter of
    two runs.
    """

    side: str
    column: str
    setting: str
    default: bool
    recall: Interval
    p50_ms: float
    p95_ms: float
    n: int
    queries: str


def measure_index(
    migration: Migration, old: RetrievalRun | None = None, new: RetrievalRun | None = None
) -> list[IndexMeasurement]:
    """Both columns, exact search first. A column without a valid index has exact search alone.

    `old` and `new` have searched for questions already. Rows at the same distance count as the
    same row, as in ANN-Benchmarks. Raises DatabaseError.
    """
    seed, measurements = migration.plan.evaluation.seed, []
    sides = (("old", migration.old, old), ("new", migration.new, new))
    with translate_errors("measuring the index"), migration.engine.connect() as connection:
        for side, bound, run in sides:
            binding = as_served(connection, bound)
            index = find_index(connection, binding, migration.plan.evaluation.k)
            default = index.label(index.default) if index else EXACT
            searches = _search(connection, migration, binding, index, run)
            connection.rollback()
            for setting, search in searches.items():
                exact = searches[EXACT].distances[: len(search.distances)]
                recall = bootstrap_interval(recall_by_query(search.distances, exact), seed)
                p50, p95 = (float(np.percentile(search.times_ms, share)) for share in (50, 95))
                measurements.append(
                    IndexMeasurement(
                        side, binding.column, setting, setting == default, recall, p50, p95,
                        n=len(search.distances), queries="questions" if run else "rows",
                    )
                )  # fmt: skip
    return measurements


def recall_by_query(searched: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> np.ndarray:
    """The share of rows as near as the last exact one; of shape (queries,)."""
    return np.array(
        [
            (distances <= best[-1] + TOLERANCE).sum() / len(best) if len(best) else 1.0
            for distances, best in zip(searched, exact, strict=True)
        ]
    )


def _search(
    connection: sa.Connection, migration: Migration, binding: Binding, index: Index | None,
    run: RetrievalRun | None,
) -> dict[str, Searches]:  # fmt: skip
    """By setting; {} for a column without vectors. Leaves changed settings in the transaction."""
    if run is None:
        vector = migration.vector(binding.column)
        sample = migration.sample(vector, limit=MAX_ROWS).where(vector.is_not(None))
        if not (rows := connection.scalars(sample).all()):
            return {}
        exact = ColumnSearch(connection, migration, binding, rows, of_rows=True).exactly()
        asked = rows[: len(exact.distances)]
        served = {}
    else:
        asked = list(run.vectors.values())[:MAX_QUESTIONS]
        exact, *all_served = (
            Searches(list(s.distances.values()), s.times_ms) for s in (run.exact, run.served)
        )
        served = {run.served.setting: all_served[0].distances}
    searches = {EXACT: exact}
    if index:
        column = ColumnSearch(connection, migration, binding, asked, of_rows=run is None)
        for setting, search in column.by_setting(index).items():
            searches[setting] = Searches(served.get(setting, search.distances), search.times_ms)
    return searches
