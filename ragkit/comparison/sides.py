"""One model asked: every question through its column, as the app would ask it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd

from ragkit.comparison.metrics import Run
from ragkit.comparison.questions import Judged
from ragkit.comparison.vectors import by_key, unit
from ragkit.contract import Binding
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.migration.subject import Migration
from ragkit.search import nearest

T = TypeVar("T")


@dataclass(frozen=True)
class Side:
    """One model's answers. Latency is embedding plus search, in ms, in the questions' order;
    `relevant` are the cosine distances from the questions to the rows that answer them, NaN where
    the row has no vector."""

    model: str
    run: Run
    latency_ms: np.ndarray
    relevant: pd.Series


def ask(migration: Migration, binding: Binding, embedder: Embedder, judged: Judged) -> Side:
    """The model first, then the database: no transaction is open while a model is called."""
    key, k = migration.plan.key, migration.plan.k
    embedder.embed_query("warm up")
    embedded = {name: _timed(embedder.embed_query, text) for name, text in judged.texts.items()}
    run, latency = {}, []
    with plain_errors("comparing"), migration.engine.connect() as connection:
        for name, (vector, took) in embedded.items():
            rows, searched = _timed(nearest, connection, binding, vector, [key], k)
            run[name] = [str(row[key]) for row in rows]
            latency.append(took + searched)
    vectors = {name: vector for name, (vector, _) in embedded.items()}
    relevant = _relevant(migration, binding.column, vectors, judged)
    return Side(embedder.model.name, run, np.array(latency), relevant)


def _relevant(
    migration: Migration, column: str, vectors: dict[str, np.ndarray], judged: Judged
) -> pd.Series:
    pairs = [(q, row) for q, rows in judged.qrels.items() for row, g in rows.items() if g > 0]
    stored = by_key(migration, column, {row for _, row in pairs})
    asked = dict(zip(vectors, unit(vectors.values()), strict=True))
    far = [1 - float(asked[q] @ stored[row]) if row in stored else np.nan for q, row in pairs]
    names = ["question", "row"]
    return pd.Series(far, pd.MultiIndex.from_tuples(pairs, names=names) if pairs else None, float)


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What it returns, and how long it took in milliseconds."""
    began = time.perf_counter()
    return call(*arguments), (time.perf_counter() - began) * 1000
