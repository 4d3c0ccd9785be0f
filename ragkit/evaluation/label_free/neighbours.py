"""Stored vectors compared with stored vectors: how a change of model changes a row's neighbours.

It needs no questions, no judgements and no model, so it works when the old model is retired. It
shows how different the spaces are, not which one is better.
"""

from dataclasses import dataclass

import numpy as np

from ragkit.errors import SpaceNotReady
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.rank_overlap import rank_biased_overlap
from ragkit.evaluation.metrics.space_similarity import (
    cka,
    nearest_rows,
    shared_neighbours,
    spearman,
)
from ragkit.evaluation.samples import PairedVectors, sample_vectors
from ragkit.migration.migration import Migration

MAX_CHANGED_ROWS = 5
MAX_NAMES = 3
"""Neighbours that a ChangedRow names."""
EXCERPT_CHARACTERS = 90


@dataclass(frozen=True)
class ChangedRow:
    """A row and the labels of its nearest rows in both spaces. The overlap is that of all k."""

    row: str
    text: str
    overlap: float
    nearest_before: str
    nearest_after: str


@dataclass(frozen=True)
class Neighbourhoods:
    """The comparison over `rows` rows with different texts that have both vectors.

    `duplicates` counts further rows of the sample, whose text is that of one of them. `overlap`
    and `rbo` compare a row's k nearest other rows in both spaces; `by_row` has the overlaps, of
    shape (rows,). `spearman` and `cka` are those of metrics.space_similarity. `cosine` is the mean
    between a row's old and new vector; None when the dimensions differ. `most_changed` are the
    rows with the smallest overlap.
    """

    k: int
    rows: int
    duplicates: int
    overlap: Interval
    rbo: Interval
    spearman: Interval
    cka: Interval
    cosine: float | None
    by_row: np.ndarray
    most_changed: list[ChangedRow]


def compare_neighbourhoods(migration: Migration) -> Neighbourhoods:
    """Raises SpaceNotReady when at most k rows with different texts have both vectors, and
    DatabaseError."""
    k, seed = migration.plan.evaluation.k, migration.plan.evaluation.seed
    sample = sample_vectors(migration)
    vectors = sample.distinct()
    rows = len(vectors.labels)
    if rows <= k:
        raise SpaceNotReady(
            f"expected more than k = {k} rows with both vectors and different texts, found {rows}"
        )
    before, after = nearest_rows(vectors.old, k), nearest_rows(vectors.new, k)
    shared = shared_neighbours(before, after)
    rbo = [
        rank_biased_overlap(old, new)
        for old, new in zip(before.tolist(), after.tolist(), strict=True)
    ]
    same_dimension = vectors.old.shape == vectors.new.shape
    return Neighbourhoods(
        k=k,
        rows=rows,
        duplicates=len(sample.labels) - rows,
        overlap=bootstrap_interval(shared, seed),
        rbo=bootstrap_interval(np.array(rbo), seed),
        spearman=bootstrap_interval(spearman(vectors.old, vectors.new), seed),
        cka=cka(vectors.old, vectors.new),
        cosine=float((vectors.old * vectors.new).sum(axis=1).mean()) if same_dimension else None,
        by_row=shared,
        most_changed=_most_changed(vectors, before, after, shared),
    )


def _most_changed(
    vectors: PairedVectors, before: np.ndarray, after: np.ndarray, shared: np.ndarray
) -> list[ChangedRow]:
    def names(nearest: np.ndarray) -> str:
        return ", ".join(vectors.labels[place] for place in nearest[:MAX_NAMES])

    return [
        ChangedRow(
            vectors.labels[place],
            _excerpt(vectors.texts[place]),
            float(shared[place]),
            names(before[place]),
            names(after[place]),
        )
        for place in np.argsort(shared, kind="stable")[:MAX_CHANGED_ROWS]
    ]


def _excerpt(text: str) -> str:
    fits = len(text) <= EXCERPT_CHARACTERS
    return text if fits else text[: EXCERPT_CHARACTERS - 1] + "…"
