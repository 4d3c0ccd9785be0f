"""Samples of the table: stored vectors of both columns, and texts."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.errors import SpaceNotReady
from ragkit.migration.coverage import has_text
from ragkit.migration.subject import Migration

MOST_ROWS = 2000
"""A sample of a larger table; every pair of it is compared."""
MOST_TEXTS = 20_000


@dataclass(frozen=True)
class Stored:
    """Labels and texts of rows, and their unit vectors in both spaces, (rows, dimension)."""

    labels: list[str]
    texts: list[str]
    old: np.ndarray
    new: np.ndarray

    def distinct(self) -> "Stored":
        """The first row of each text: others have the same vectors, and change nothing."""
        places = sorted({text: i for i, text in reversed(list(enumerate(self.texts)))}.values())
        return Stored(
            [self.labels[i] for i in places], [self.texts[i] for i in places],
            self.old[places], self.new[places],
        )  # fmt: skip


def stored(migration: Migration) -> Stored:
    """At most MOST_ROWS rows that have both vectors, the same ones each time. Raises
    SpaceNotReady when there are fewer than two."""
    table, plan = migration.table, migration.plan
    old, new = table.c[plan.old_column], migration.new_vector
    query = (
        sa.select(table.c[plan.label], migration.content, old, new)
        .select_from(table)
        .where(old.is_not(None), new.is_not(None))
        .order_by(sa.func.md5(sa.cast(migration.key, sa.Text)))
        .limit(MOST_ROWS)
    )
    with plain_errors("comparing vectors"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    if len(rows) < 2:
        raise SpaceNotReady(f"{len(rows)} rows have both vectors: run the backfill first")
    labels, texts = [str(row[0]) for row in rows], [row[1] or "" for row in rows]
    return Stored(labels, texts, *(unit([row[place] for row in rows]) for place in (2, 3)))


def by_key(migration: Migration, column: str, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Unit vectors of a column by the key's text form; rows without one are left out."""
    key, vector = sa.cast(migration.key, sa.Text), migration.table.c[column]
    query = sa.select(key, vector).where(key.in_(sorted(keys)), vector.is_not(None))
    with plain_errors("comparing vectors"), migration.engine.connect() as connection:
        rows = connection.execute(query.select_from(migration.table)).all()
    return dict(zip([row[0] for row in rows], unit([row[1] for row in rows]), strict=True))


def distinct_rows(migration: Migration) -> dict[str, str]:
    """Texts by the key's text form, one row a text, of a sample that is the same each time."""
    key = sa.cast(migration.key, sa.Text)
    query = (
        sa.select(key, migration.content)
        .select_from(migration.table)
        .where(has_text(migration.content))
        .order_by(sa.func.md5(key))
        .limit(MOST_TEXTS)
    )
    with plain_errors("reading texts"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    first = {text: key for key, text in reversed(rows)}
    return {key: text for key, text in rows if first[text] == key}


def unit(vectors: Iterable) -> np.ndarray:
    """Of length 1; a zero vector stays zero. Takes pgvector's types too."""
    rows = [v.to_list() if hasattr(v, "to_list") else v for v in vectors]
    array = np.array(rows, np.float64)
    return array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-12)
