"""A retrieval run: every question embedded by one model and searched in its column."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.evaluation.metrics.trec import Rankings
from ragkit.evaluation.questions import QuestionSet
from ragkit.evaluation.samples import normalise, vectors_by_key
from ragkit.migration.migration import Migration
from ragkit.retrieval.search import nearest
from ragkit.retrieval.space import Binding

T = TypeVar("T")


@dataclass(frozen=True)
class RetrievalRun:
    """The ranked lists that one model retrieves.

    `latency_ms` is the time of embedding and search for each question, in the order of
    `rankings`. `relevant_distances` holds the cosine distance from a question to each of its
    relevant rows, indexed by (question, row); NaN where the row has no vector.
    """

    model: str
    rankings: Rankings
    latency_ms: np.ndarray
    relevant_distances: pd.Series


def retrieve(
    migration: Migration, binding: Binding, embedder: Embedder, questions: QuestionSet
) -> RetrievalRun:
    """The first k rows for every question, as the app would retrieve them.

    All questions are embedded before the database is searched: no transaction is open while a
    model is called. Raises ModelError or DatabaseError.
    """
    key, k = migration.plan.table.key, migration.plan.evaluation.k
    embedder.embed_query("warm up")
    embedded = {
        question: _timed(embedder.embed_query, text) for question, text in questions.texts.items()
    }
    rankings, latency_ms = {}, []
    with translate_errors("comparing"), migration.engine.connect() as connection:
        for question, (vector, embedding_ms) in embedded.items():
            rows, search_ms = _timed(nearest, connection, binding, vector, [key], k)
            rankings[question] = [str(row[key]) for row in rows]
            latency_ms.append(embedding_ms + search_ms)
    vectors = {question: vector for question, (vector, _) in embedded.items()}
    distances = _relevant_distances(migration, binding.column, vectors, questions)
    return RetrievalRun(embedder.model.name, rankings, np.array(latency_ms), distances)


def _relevant_distances(
    migration: Migration, column: str, vectors: dict[str, np.ndarray], questions: QuestionSet
) -> pd.Series:
    pairs = [
        (question, row)
        for question, grades in questions.qrels.items()
        for row, grade in grades.items()
        if grade > 0
    ]
    row_vectors = vectors_by_key(migration, column, {row for _, row in pairs})
    query_vectors = dict(zip(vectors, normalise(vectors.values()), strict=True))
    distances = [
        1 - float(query_vectors[question] @ row_vectors[row]) if row in row_vectors else np.nan
        for question, row in pairs
    ]
    index = pd.MultiIndex.from_tuples(pairs, names=["question", "row"]) if pairs else None
    return pd.Series(distances, index, float)


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """The result of the call, and its duration in ms."""
    start = time.perf_counter()
    return call(*arguments), (time.perf_counter() - start) * 1000
