"""Stored vectors against stored vectors: what a change of model does to who is near whom.

Needs no question, no judgement and no model: it works when the old one is retired. It says how
different the spaces are, never which is better.
"""

from dataclasses import dataclass

import numpy as np

from ragkit.comparison.agreement import rank_biased
from ragkit.comparison.alignment import cka, spearman
from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.vectors import stored
from ragkit.errors import SpaceNotReady
from ragkit.migration.subject import Migration

WORST, NAMED, EXCERPT = 5, 3, 90
"""Rows that are shown, neighbours that are named, characters of a text."""


@dataclass(frozen=True)
class Changed:
    """A row, and the names of its nearest rows in both spaces; the overlap is of all k."""

    row: str
    text: str
    overlap: float
    nearest_before: str
    nearest_after: str


@dataclass(frozen=True)
class Neighbourhoods:
    """Over `rows` of different texts that have both vectors; `duplicates` more say the same as
    one of them. `overlap` and `rbo` compare the k nearest rows in both spaces, by row, the row
    itself left out; `spearman` and `cka` are those of `alignment`; `cosine` is that of a row's old
    and new vector, None between dimensions. `worst` are the rows that changed most."""

    k: int
    rows: int
    duplicates: int
    overlap: Interval
    rbo: Interval
    spearman: Interval
    cka: Interval
    cosine: float | None
    by_row: np.ndarray
    worst: list[Changed]


def neighbourhoods(migration: Migration) -> Neighbourhoods:
    """Raises SpaceNotReady when fewer than k + 1 different texts have both vectors."""
    everything, k, seed = stored(migration), migration.plan.k, migration.plan.seed
    found = everything.distinct()
    labels, old, new = found.labels, found.old, found.new
    if len(labels) <= k:
        raise SpaceNotReady(
            f"{len(labels)} rows of different texts have both vectors: more than k = {k} are needed"
        )
    before, after = _near(old, k), _near(new, k)
    lists = list(zip(before.tolist(), after.tolist(), strict=True))
    shared = np.array([len(set(a) & set(b)) / k for a, b in lists])
    ranked = np.array([rank_biased(a, b) for a, b in lists])
    worst = [
        Changed(
            labels[i], _excerpt(found.texts[i]), float(shared[i]),
            _names(labels, before[i]), _names(labels, after[i]),
        )
        for i in np.argsort(shared, kind="stable")[:WORST]
    ]  # fmt: skip
    return Neighbourhoods(
        k, len(labels), len(everything.labels) - len(labels),
        interval(shared, seed), interval(ranked, seed), interval(spearman(old, new), seed),
        cka(old, new), float((old * new).sum(axis=1).mean()) if old.shape == new.shape else None,
        shared, worst,
    )  # fmt: skip


def _near(unit: np.ndarray, k: int) -> np.ndarray:
    """Places of the k nearest rows by cosine, of shape (rows, k), without the row itself."""
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def _names(labels: list[str], places: np.ndarray) -> str:
    return ", ".join(labels[place] for place in places[:NAMED])


def _excerpt(text: str) -> str:
    return text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
