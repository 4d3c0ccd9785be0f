"""Compare: the same questions through the old and the new column, as the app would ask them."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.contract import Binding
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.migration import coverage, metrics
from ragkit.migration.metrics import Run
from ragkit.migration.questions import Judged
from ragkit.migration.subject import Migration
from ragkit.search import nearest


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
    labels: dict[str, str]
    texts: dict[str, str]

    def change(self, metric: str) -> pd.Series:
        """New minus old by question, worst first."""
        return (self.new_scores[metric] - self.old_scores[metric]).sort_values(kind="stable")


def compare(migration: Migration, judged: Judged, old: Embedder, new: Embedder) -> Comparison:
    """Asks every question of both columns. Raises SpaceNotReady (with the coverage) while the new
    one is not full, ConfigError when the qrels name rows that do not exist, ModelError."""
    k = migration.plan.k
    with plain_errors("comparing"), migration.engine.connect() as connection:
        covered = coverage.count(connection, migration)
        if covered.pending:
            raise SpaceNotReady(
                f"{migration.plan.new_column} has {covered.filled} of "
                f"{covered.filled + covered.pending} vectors: finish the backfill first"
            )
        judged_rows = {row for rows in judged.qrels.values() for row in rows}
        labels, texts = _rows(connection, migration, judged_rows)
        if lost := judged_rows - set(labels):
            raise ConfigError(f"the qrels name {len(lost)} rows that do not exist: {min(lost)}, …")
        before = _side(connection, migration, migration.old, old, judged)
        after = _side(connection, migration, migration.new, new, judged)
        shown = {r for side in (before, after) for rows in side.run.values() for r in rows}
        more = _rows(connection, migration, shown - set(labels))
    return Comparison(
        k, judged, before, after,
        metrics.per_question(judged.qrels, before.run, k),
        metrics.per_question(judged.qrels, after.run, k),
        metrics.overlap(before.run, after.run, k),
        labels | more[0], texts | more[1],
    )  # fmt: skip


def _side(
    connection: sa.Connection,
    migration: Migration,
    binding: Binding,
    embedder: Embedder,
    judged: Judged,
) -> Side:
    key, k = migration.plan.key, migration.plan.k
    embedder.embed_query("warm up")
    run, latency = {}, []
    for name, text in judged.texts.items():
        began = time.perf_counter()
        rows = nearest(connection, binding, embedder.embed_query(text), [key], k)
        latency.append((time.perf_counter() - began) * 1000)
        run[name] = [str(row[key]) for row in rows]
    return Side(embedder.model.name, run, np.array(latency))


def _rows(
    connection: sa.Connection, migration: Migration, keys: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and texts by the key's text form."""
    as_text = sa.cast(migration.key, sa.Text)
    query = sa.select(as_text, migration.table.c[migration.plan.label], migration.content)
    rows = connection.execute(query.where(as_text.in_(sorted(keys)))).all()
    return {r[0]: str(r[1]) for r in rows}, {r[0]: r[2] or "" for r in rows}
