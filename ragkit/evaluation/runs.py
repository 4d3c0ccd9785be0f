"""A retrieval run: every question embedded by one model and searched in its column.

Models are compared by exact search, so that a loss of the index does not look like a loss of the
model. The same questions are searched as the app does too, which tells that loss, and the time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
import pg8000
import sqlalchemy as sa

from ragkit.database.translate import QUERY_CANCELED, sqlstate, translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.index.settings import (
    EXACT,
    WIDEST,
    index_method,
    search_settings,
)
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet
from ragkit.migration.migration import Migration
from ragkit.retrieval.search import nearest_with_distance
from ragkit.retrieval.space import Binding

EXACT_SECONDS = 120.0
"""Of exact searches in a column; the questions after that are searched with the index, at its
widest setting."""

SEARCH_SECONDS = 60.0
"""For one search."""
T = TypeVar("T")
Rows = list[list[Any]]
"""Each row's key and distance, nearest first."""


@dataclass(frozen=True)
class Searched:
    """For each question the nearest rows, their distances (of shape (rows,), ascending) and the
    time of the search. `setting` is "exact", or the index's, as in "hnsw.ef_search = 40"."""

    setting: str
    rankings: Rankings
    distances: dict[str, np.ndarray]
    times_ms: np.ndarray


@dataclass(frozen=True)
class RetrievalRun:
    """What one model retrieves.

    `vectors` are the questions' own. `exact` compares models; `served` is what the app would show,
    the same object in a column without an index. `embedding_ms` is of each question. `widened`
    counts questions of `exact` that were searched with the index at its widest setting instead.
    """

    model: str
    vectors: dict[str, np.ndarray]
    embedding_ms: np.ndarray
    exact: Searched
    served: Searched
    widened: int = 0

    @property
    def rankings(self) -> Rankings:
        """By exact search."""
        return self.exact.rankings

    def reordered(self, order: Callable[[Rankings], Rankings]) -> "RetrievalRun":
        """With each ranked list put into another order of the same rows."""
        exact, served = (
            replace(searched, rankings=order(searched.rankings))
            for searched in (self.exact, self.served)
        )
        same = self.served is self.exact
        return replace(self, exact=exact, served=exact if same else served)

    @property
    def latency_ms(self) -> np.ndarray:
        """From a question to its rows, as the app searches."""
        latency: np.ndarray = self.embedding_ms + self.served.times_ms
        return latency


def retrieve(
    migration: Migration, binding: Binding, embedder: Embedder, questions: QuestionSet
) -> RetrievalRun:
    """The first k rows for every question.

    All questions are embedded before the database is searched: no transaction is open while a
    model is called. Raises ModelError or DatabaseError.
    """
    embedder.embed_query("warm up")
    vectors, embedding_ms = {}, []
    for question, text in questions.texts.items():
        vectors[question], milliseconds = _timed(embedder.embed_query, text)
        embedding_ms.append(milliseconds)
    with translate_errors("comparing"), migration.engine.connect() as connection:
        method = index_method(connection, binding)
        connection.rollback()  # each search has a transaction, and settings, of its own
        search = _Search(connection, migration, replace(binding, cutoff=None))
        if method is None:
            exact = served = search.all(vectors, EXACT, search.nearest)
            widened = 0
        else:
            name, _, default = search_settings(method, migration.plan.evaluation.k)
            served = search.all(vectors, f"{name} = {default}", search.nearest)
            exactly = _Exactly(search, WIDEST[method])
            exact, widened = search.all(vectors, EXACT, exactly.nearest), exactly.widened
    times = np.array(embedding_ms)
    return RetrievalRun(embedder.model.name, vectors, times, exact, served, widened)


@dataclass(frozen=True)
class _Search:
    connection: sa.Connection
    migration: Migration
    binding: Binding

    def all(
        self, vectors: Mapping[str, np.ndarray], setting: str, nearest: Callable[[np.ndarray], Rows]
    ) -> Searched:
        """Each question in turn."""
        rankings, distances, times_ms = {}, {}, []
        for question, vector in vectors.items():
            rows, milliseconds = _timed(nearest, vector)
            rankings[question] = [str(row) for row, _ in rows]
            distances[question] = np.array([distance for _, distance in rows], float)
            times_ms.append(milliseconds)
        return Searched(setting, rankings, distances, np.array(times_ms))

    def nearest(
        self,
        vector: np.ndarray,
        settings: Mapping[str, str] = MappingProxyType({}),
        seconds: float = SEARCH_SECONDS,
    ) -> Rows:
        """As the app searches, with `settings` of the server."""
        limits = {"statement_timeout": f"{max(1, round(1000 * seconds))}", **settings}
        plan, key = self.migration.plan, [self.migration.terms.key.text_of("r")]
        return nearest_with_distance(
            self.connection, self.binding, vector, key, plan.evaluation.k, limits
        )


@dataclass
class _Exactly:
    """Without the index for EXACT_SECONDS, and then with the index at its `widest` setting."""

    search: _Search
    widest: tuple[str, str]
    widened: int = 0
    end: float = field(default_factory=lambda: time.monotonic() + EXACT_SECONDS)

    def nearest(self, vector: np.ndarray) -> Rows:
        left = self.end - time.monotonic()
        if left > 0:
            try:
                return self.search.nearest(vector, {"enable_indexscan": "off"}, left)
            except pg8000.DatabaseError as error:
                if sqlstate(error) != QUERY_CANCELED:
                    raise
                self.search.connection.rollback()
        self.widened += 1
        name, value = self.widest
        return self.search.nearest(vector, {"enable_indexscan": "on", name: value})


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """The result of the call, and its duration in ms."""
    start = time.perf_counter()
    return call(*arguments), (time.perf_counter() - start) * 1000
