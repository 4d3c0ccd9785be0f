"""Compare: the same questions through the old and the new column, as the app would ask them."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.comparison import metrics
from ragkit.comparison.metrics import Interval, Run, interval
from ragkit.comparison.questions import Judged
from ragkit.contract import Binding
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.migration import coverage
from ragkit.migration.completion import behind
from ragkit.migration.subject import Migration
from ragkit.search import nearest

T = TypeVar("T")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Side:
    """One model's answers. Latency is embedding plus search, in ms, in the questions' order."""

    model: str
    run: Run
    latency_ms: np.ndarray


@dataclass(frozen=True)
class Comparison:
    """Both sides, their figures per judged question, and the rows' labels and texts by key."""

    k: int
    judged: Judged
    old: Side
    new: Side
    old_scores: pd.DataFrame
    new_scores: pd.DataFrame
    overlap: pd.Series
    rbo: pd.Series
    labels: dict[str, str]
    texts: dict[str, str]

    def shared(self, values: pd.Series, seed: int) -> Interval:
        """The mean of `overlap` or `rbo`; a question of a log counts as often as it was asked."""
        counts = self.judged.counts
        weights = np.array([counts.get(name, 1) for name in values.index], float)
        return interval(values.to_numpy(), seed, weights)

    def change(self, metric: str) -> pd.Series:
        """New minus old by question, worst first."""
        return (self.new_scores[metric] - self.old_scores[metric]).sort_values(kind="stable")


def compare(migration: Migration, judged: Judged, old: Embedder, new: Embedder) -> Comparison:
    """Asks every question of both columns. Raises SpaceNotReady (with the coverage) while the new
    one is not full, ConfigError when the qrels name rows that do not exist, ModelError."""
    k = migration.plan.k
    judged_rows = {row for rows in judged.qrels.values() for row in rows}
    with plain_errors("comparing"), migration.engine.connect() as connection:
        _require_full(connection, migration)
        labels, _ = _rows(connection, migration, judged_rows)
    if gone := judged_rows - set(labels):
        judged = _without(judged, gone)
    before = _side(migration, migration.old, old, judged)
    after = _side(migration, migration.new, new, judged)
    shown = {row for side in (before, after) for rows in side.run.values() for row in rows}
    with plain_errors("comparing"), migration.engine.connect() as connection:
        labels, texts = _rows(connection, migration, judged_rows | shown)
    return Comparison(
        k, judged, before, after,
        metrics.per_question(judged.qrels, before.run, k),
        metrics.per_question(judged.qrels, after.run, k),
        metrics.overlap(before.run, after.run, k),
        metrics.rbo(before.run, after.run, k),
        labels, texts,
    )  # fmt: skip


def _without(judged: Judged, gone: set[str]) -> Judged:
    """A live table loses rows; qrels of another table name few of this one's."""
    known = {row for rows in judged.qrels.values() for row in rows} - gone
    if len(gone) > len(known):
        raise ConfigError(
            f"the qrels name {len(gone)} rows that do not exist, {min(gone)!r} for one, and "
            f"{len(known)} that do: are they of this table, and by its key?"
        )
    left = judged.without(gone)
    if not left.qrels:
        raise ConfigError("no judged question has a relevant row left in the table")
    log.warning("%d judged rows are no longer in the table: left out", len(gone))
    return left


def _require_full(connection: sa.Connection, migration: Migration) -> None:
    covered = coverage.count(connection, migration)
    if behind(connection, migration, covered):
        raise SpaceNotReady(
            f"{migration.plan.new_column} has {covered.filled} of "
            f"{covered.filled + covered.pending} vectors: finish the backfill first"
        )


def _side(migration: Migration, binding: Binding, embedder: Embedder, judged: Judged) -> Side:
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
    return Side(embedder.model.name, run, np.array(latency))


def _timed(call: Callable[..., T], *arguments: object) -> tuple[T, float]:
    """What it returns, and how long it took in milliseconds."""
    began = time.perf_counter()
    return call(*arguments), (time.perf_counter() - began) * 1000


def _rows(
    connection: sa.Connection, migration: Migration, keys: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and texts by the key's text form."""
    as_text = sa.cast(migration.key, sa.Text)
    query = sa.select(as_text, migration.table.c[migration.plan.label], migration.content)
    rows = connection.execute(query.where(as_text.in_(sorted(keys)))).all()
    return {r[0]: str(r[1]) for r in rows}, {r[0]: r[2] or "" for r in rows}
