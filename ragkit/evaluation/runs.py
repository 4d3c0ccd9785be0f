"""A retrieval run: every question embedded by one model and searched in its column.

Models are compared by exact search, so that a loss of the index does not look like a loss of the
model. The same questions are searched as the app does too, which tells that loss, and the time.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
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

T = TypeVar("T")


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
        asked = connection, migration, replace(binding, cutoff=None), vectors
        if method is None:
            exact = served = _search(*asked, EXACT)
            widened = 0
        else:
            name, _, default = search_settings(method, migration.plan.evaluation.k)
            served = _search(*asked, f"{name} = {default}")
            exact, widened = _search_exactly(*asked, method)
    times = np.array(embedding_ms)
    return RetrievalRun(embedder.model.name, vectors, times, exact, served, widened)


def _search_exactly(
    connection: sa.Connection, migration: Migration, binding: Binding,
    vectors: Mapping[str, np.ndarray], method: str,
) -> tuple[Searched, int]:  # fmt: skip
    """For EXACT_SECONDS; the rest with the index at its widest setting, and how many those are."""
    start = time.monotonic()
    without = {"enable_indexscan": "off"}
    name, widest = WIDEST[method]
    within = {"enable_indexscan": "on", name: widest}
    late = 0

    def settings() -> Mapping[str, str]:
        nonlocal late
        is_late = time.monotonic() - start > EXACT_SECONDS
        late += is_late
        return within if is_late else without

    found = _search(connection, migration, binding, vectors, EXACT, settings)
    return found, late


def _search(
    connection: sa.Connection, migration: Migration, binding: Binding,
    vectors: Mapping[str, np.ndarray], setting: str,
    settings: Callable[[], Mapping[str, str]] = dict,
) -> Searched:  # fmt: skip
    """`settings` are asked for before each search, and are the transaction's."""
    key, k = migration.plan.table.key, migration.plan.evaluation.k
    rankings, distances, times_ms = {}, {}, []
    for question, vector in vectors.items():
        rows, milliseconds = _timed(
            nearest_with_distance, connection, binding, vector, [key], k, settings()
        )
        rankings[question] = [str(row) for row, _ in rows]
        distances[question] = np.array([distance for _, distance in rows], float)
        times_ms.append(milliseconds)
    return Searched(setting, rankings, distances, np.array(times_ms))


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """The result of the call, and its duration in ms."""
    start = time.perf_counter()
    return call(*arguments), (time.perf_counter() - start) * 1000
