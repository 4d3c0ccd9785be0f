"""Stored vectors against stored vectors: what a change of model does to who is near whom.

Needs no question, no judgement and no model: it works when the old one is retired. It says how
different the spaces are, never which is better.
"""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.comparison.metrics import Interval, interval
from ragkit.database import plain_errors
from ragkit.errors import SpaceNotReady
from ragkit.migration.subject import Migration

MOST_ROWS = 2000
"""A sample of a larger table; every pair of it is compared."""


@dataclass(frozen=True)
class Stored:
    """Labels, and unit vectors of both spaces, of shape (rows, dimension)."""

    labels: list[str]
    old: np.ndarray
    new: np.ndarray


@dataclass(frozen=True)
class Changed:
    """A row, and the names of its nearest rows in both spaces; the overlap is of all k."""

    row: str
    overlap: float
    nearest_before: str
    nearest_after: str


@dataclass(frozen=True)
class Neighbourhoods:
    """Over `rows` that have both vectors: `overlap` is the share of the k nearest rows that both
    spaces have in common, by row, the row itself left out; `cosine` that of a row's old and new
    vector, None between dimensions; `cka` is linear centred kernel alignment (Kornblith et al.
    2019), 1.0 for the same geometry. `worst` are the rows that changed most."""

    k: int
    rows: int
    overlap: Interval
    cka: float
    cosine: float | None
    by_row: np.ndarray
    worst: list[Changed]

    def figures(self) -> dict[str, float]:
        found = {f"neighbours@{self.k}": self.overlap.mean, "cka": self.cka}
        if self.cosine is not None:
            found["cosine of a row's vectors"] = self.cosine
        return {name: round(value, 6) for name, value in found.items()}


def neighbourhoods(migration: Migration) -> Neighbourhoods:
    """Raises SpaceNotReady when fewer than k + 1 rows have both vectors."""
    found, k = stored(migration), migration.plan.k
    labels, old, new = found.labels, found.old, found.new
    if len(labels) <= k:
        raise SpaceNotReady(f"{len(labels)} rows have both vectors: more than k = {k} are needed")
    before, after = _near(old, k), _near(new, k)
    shared = _overlap(before, after) / k
    order = np.argsort(shared, kind="stable")[:5]
    cosine = float((old * new).sum(axis=1).mean()) if old.shape == new.shape else None
    return Neighbourhoods(
        k, len(labels), interval(shared, migration.plan.seed), _cka(old, new), cosine, shared,
        [Changed(labels[i], float(shared[i]), _names(labels, before[i]), _names(labels, after[i]))
         for i in order],
    )  # fmt: skip


def _names(labels: list[str], places: np.ndarray) -> str:
    return ", ".join(labels[place] for place in places[:3])


def stored(migration: Migration) -> Stored:
    """At most MOST_ROWS rows that have both vectors, the same ones each time. Raises
    SpaceNotReady when there are fewer than two."""
    table, plan = migration.table, migration.plan
    old, key = table.c[plan.old_column], sa.cast(migration.key, sa.Text)
    query = (
        sa.select(table.c[plan.label], old, migration.new_vector)
        .select_from(table)
        .where(old.is_not(None), migration.new_vector.is_not(None))
        .order_by(sa.func.md5(key))
        .limit(MOST_ROWS)
    )
    with plain_errors("comparing neighbours"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    sides = [_unit([_floats(row[place]) for row in rows]) for place in (1, 2)]
    if len(rows) < 2:
        raise SpaceNotReady(f"{len(rows)} rows have both vectors: run the backfill first")
    return Stored([str(row[0]) for row in rows], *sides)


def _floats(value: object) -> list[float]:
    return value.to_list() if hasattr(value, "to_list") else list(value)


def _unit(vectors: list[list[float]]) -> np.ndarray:
    array = np.array(vectors, np.float64)
    return array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-12)


def _near(unit: np.ndarray, k: int) -> np.ndarray:
    """Places of the k nearest rows by cosine, of shape (rows, k), without the row itself."""
    similarity = unit @ unit.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]


def _overlap(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    return np.array([len(np.intersect1d(a, b)) for a, b in zip(old, new, strict=True)])


def _cka(old: np.ndarray, new: np.ndarray) -> float:
    a, b = old - old.mean(axis=0), new - new.mean(axis=0)
    own = np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(np.linalg.norm(a.T @ b) ** 2 / own) if own else 0.0
