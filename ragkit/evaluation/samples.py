"""Samples of the table: stored vectors of both columns, and texts. They are the same each time."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.errors import SpaceNotReady
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.completion import overdue_rows
from ragkit.migration.progress.coverage import RowCounts, has_text
from ragkit.migration.rescue.approximated import find_events, is_marked

MAX_ROWS = 2000
"""Rows in a sample of vectors: every pair of them is compared."""
MAX_TEXTS = 20_000


@dataclass(frozen=True)
class PairedVectors:
    """Labels and texts of rows, with their unit vectors in both spaces.

    `old` and `new` have shape (rows, dimension); the dimensions may differ.
    """

    labels: list[str]
    texts: list[str]
    old: np.ndarray
    new: np.ndarray

    def distinct(self) -> "PairedVectors":
        """The first row of each text: rows with the same text have the same vectors."""
        first_places: dict[str, int] = {}
        for place, text in enumerate(self.texts):
            first_places.setdefault(text, place)
        places = list(first_places.values())
        return PairedVectors(
            [self.labels[place] for place in places],
            [self.texts[place] for place in places],
            self.old[places],
            self.new[places],
        )


def sample_vectors(migration: Migration) -> PairedVectors:
    """At most MAX_ROWS rows that have both vectors, each of its model.

    Raises SpaceNotReady when there are fewer than two, and DatabaseError.
    """
    old, new = migration.old_vector, migration.new_vector
    query = migration.sample(migration.label, migration.content, old, new, limit=MAX_ROWS)
    query = query.where(old.is_not(None), new.is_not(None))
    with translate_errors("comparing vectors"), migration.engine.connect() as connection:
        is_ours = is_marked(find_events(connection, migration), migration.key_text, old)
        rows = connection.execute(query.where(~is_ours)).all()
    if len(rows) < 2:
        raise SpaceNotReady(
            f"expected at least 2 rows with both vectors, found {len(rows)}: run the backfill first"
        )
    labels, texts, old_vectors, new_vectors = zip(*rows, strict=True)
    return PairedVectors(
        [str(label) for label in labels],
        [text or "" for text in texts],
        normalise(old_vectors),
        normalise(new_vectors),
    )


def require_filled(migration: Migration) -> RowCounts:
    """How many rows have which vector. Raises SpaceNotReady, with the coverage, while rows wait for
    their new one: the new model would be judged for rows that are only late. DatabaseError."""
    with translate_errors("comparing"), migration.engine.connect() as connection:
        counts = coverage.estimate_rows(connection, migration)
        overdue = overdue_rows(connection, migration, counts)
    if overdue:
        raise SpaceNotReady(
            f"{migration.plan.new.column} has {counts.filled} of "
            f"{counts.filled + counts.pending} vectors: finish the backfill first"
        )
    return counts


def vectors_by_key(migration: Migration, column: str, keys: Iterable[str]) -> dict[str, np.ndarray]:
    """Unit vectors of a column by the key's text form, each of shape (dimension,).

    Keys without a row or a vector are left out. Raises DatabaseError.
    """
    key, vector = migration.key_text, migration.vector(column)
    query = migration.select(key, vector).where(key.in_(sorted(keys)), vector.is_not(None))
    with translate_errors("comparing vectors"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    vectors = normalise(row[1] for row in rows)
    return dict(zip((row[0] for row in rows), vectors, strict=True))


def labels_and_texts(
    migration: Migration, keys: Iterable[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """Of the rows that exist, by the text form of the key. Raises DatabaseError."""
    query = migration.select(migration.key_text, migration.label, migration.content)
    query = query.where(migration.key_text.in_(sorted(keys)))
    with translate_errors("reading rows"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    labels = {key: label or key for key, label, _ in rows}
    return labels, {key: text or "" for key, _, text in rows}


def sample_texts(migration: Migration) -> dict[str, str]:
    """At most MAX_TEXTS distinct texts that are not blank, by the key's text form.

    Of rows with the same text one is in the result. Raises DatabaseError.
    """
    query = migration.sample(migration.key_text, migration.content, limit=MAX_TEXTS)
    query = query.where(has_text(migration.content))
    with translate_errors("reading texts"), migration.engine.connect() as connection:
        rows = connection.execute(query).all()
    first_keys: dict[str, str] = {}
    for key, text in rows:
        first_keys.setdefault(text, key)
    return {key: text for text, key in first_keys.items()}


def normalise(vectors: Iterable[ArrayLike]) -> np.ndarray:
    """The vectors scaled to length 1, of shape (rows, dimension); a zero vector stays zero."""
    array = as_array(vectors).astype(np.float64)
    unit: np.ndarray = array / np.maximum(np.linalg.norm(array, axis=-1, keepdims=True), 1e-12)
    return unit
