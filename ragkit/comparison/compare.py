"""Compare: the same questions through the old and the new column, as the app would ask them."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import sqlalchemy as sa

from ragkit.comparison import agreement, duplicates, metrics, sides
from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.questions import Judged
from ragkit.comparison.sides import Side
from ragkit.database import plain_errors
from ragkit.embedders import Embedder
from ragkit.errors import ConfigError, SpaceNotReady
from ragkit.migration import coverage
from ragkit.migration.completion import behind
from ragkit.migration.subject import Migration

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Comparison:
    """Both sides, their figures per judged question, and the rows' labels and texts by key.
    `alike`: shown or judged rows that share their text with another, whose order is chance."""

    k: int
    judged: Judged
    old: Side
    new: Side
    old_scores: pd.DataFrame
    new_scores: pd.DataFrame
    overlap: pd.Series
    rbo: pd.Series
    tau: pd.Series
    labels: dict[str, str]
    texts: dict[str, str]
    alike: int = 0

    @classmethod
    def of(
        cls, k: int, judged: Judged, old: Side, new: Side,
        labels: dict[str, str], texts: dict[str, str],
    ) -> "Comparison":  # fmt: skip
        """The figures of both sides' lists, once rows of one text are settled."""
        same = duplicates.groups(texts)
        old, new = (
            replace(side, run=duplicates.settle(side.run, same, judged.qrels))
            for side in (old, new)
        )
        runs = old.run, new.run
        return cls(
            k, judged, old, new, *(metrics.per_question(judged.qrels, run, k) for run in runs),
            agreement.overlap(*runs, k), agreement.rbo(*runs, k), agreement.kendall(*runs, k),
            labels, texts, len(same),
        )  # fmt: skip

    def shared(self, values: pd.Series, seed: int) -> Interval:
        """The mean of `overlap`, `rbo` or `tau`; a question of a log counts as often as it was
        asked."""
        counts = self.judged.counts
        weights = np.array([counts.get(name, 1) for name in values.index], float)
        return interval(values.to_numpy(), seed, weights)

    def change(self, metric: str) -> pd.Series:
        """New minus old by question, worst first."""
        return (self.new_scores[metric] - self.old_scores[metric]).sort_values(kind="stable")


def compare(migration: Migration, judged: Judged, old: Embedder, new: Embedder) -> Comparison:
    """Asks every question of both columns. Raises SpaceNotReady (with the coverage) while the new
    one is not full, ConfigError when the qrels name rows that do not exist or k is not smaller
    than the table, ModelError."""
    judged_rows = {row for rows in judged.qrels.values() for row in rows}
    with plain_errors("comparing"), migration.engine.connect() as connection:
        _require_full(connection, migration)
        labels, _ = _rows(connection, migration, judged_rows)
    if gone := judged_rows - set(labels):
        judged = _without(judged, gone)
    before = sides.ask(migration, migration.old, old, judged)
    after = sides.ask(migration, migration.new, new, judged)
    shown = {row for side in (before, after) for rows in side.run.values() for row in rows}
    with plain_errors("comparing"), migration.engine.connect() as connection:
        labels, texts = _rows(connection, migration, judged_rows | shown)
    return Comparison.of(migration.plan.k, judged, before, after, labels, texts)


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
    if covered.filled <= (k := migration.plan.k):
        raise ConfigError(
            f"k is {k}, and {covered.filled} rows have a vector: every model would show all of "
            "them; set a smaller k"
        )


def _rows(
    connection: sa.Connection, migration: Migration, keys: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Labels and texts by the key's text form."""
    as_text = sa.cast(migration.key, sa.Text)
    query = sa.select(as_text, migration.table.c[migration.plan.label], migration.content)
    rows = connection.execute(query.where(as_text.in_(sorted(keys)))).all()
    return {r[0]: str(r[1]) for r in rows}, {r[0]: r[2] or "" for r in rows}
