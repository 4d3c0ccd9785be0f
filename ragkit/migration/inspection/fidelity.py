"""Fidelity: are the stored vectors those of their texts, by the model that is said to be theirs?"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.migration.backfill.model_calls.embed import embed_texts
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.migration.rescue.approximated import find_events, is_marked
from ragkit.migration.verdict import Gate

FIDELITY_ROWS = 32
MIN_FIDELITY_COSINE = 0.98
"""Between a stored vector and the same text embedded again. The vectors of an int8 model vary a
little with the other texts of a batch."""
MAX_EXAMPLES = 3
CONFIDENCE = 0.95
PATIENCE_SECONDS = 60.0
"""For a busy model."""


@dataclass(frozen=True)
class ForeignRow:
    """A row whose vector is not its text's. `cosine`: between the stored and the right vector."""

    key: str
    label: str
    cosine: float


@dataclass(frozen=True)
class Fidelity:
    """Of a sample of `rows` rows. `foreign`: the least similar first."""

    rows: int
    lowest_cosine: float
    foreign: list[ForeignRow]

    def share(self) -> tuple[float, float]:
        """The share of foreign rows in the whole table, as a 95 % Wilson interval."""
        from scipy.stats import binomtest  # its import costs half a second

        trial = binomtest(len(self.foreign), self.rows)
        low, high = trial.proportion_ci(CONFIDENCE, method="wilson")
        return float(low), float(high)

    def describe(self) -> str:
        """One line, with examples."""
        if not self.rows:
            return "no rows"
        text = f"lowest cosine {self.lowest_cosine:.3f} of {self.rows} rows"
        if self.foreign:
            low, high = self.share()
            rows = (f"{row.key} ({row.label}, {row.cosine:.2f})" for row in self.foreign)
            text += f"; {len(self.foreign)} foreign, {low:.1%} to {high:.1%} of the table: "
            text += ", ".join(list(rows)[:MAX_EXAMPLES])
        return text

    def new_gate(self) -> Gate:
        """NO-GO, because ragkit itself wrote these vectors."""
        passed = bool(self.rows) and not self.foreign
        return Gate("new vectors match their texts", self.describe(), _limit(), passed)

    def old_gate(self) -> Gate:
        """Undecided: a comparison with vectors of something else says nothing about the models."""
        passed = True if self.rows and not self.foreign else None
        return Gate("old vectors match their texts", self.describe(), _limit(), passed)


def measure_fidelity(
    migration: Migration,
    vector: sa.ColumnElement[Any],
    embedder: Embedder,
    limit: int = FIDELITY_ROWS,
) -> Fidelity:
    """Embeds the texts of `limit` rows of a vector column again, the same rows each time: finds
    vectors of another model, and vectors of an earlier text. Rows that the model refuses are left
    out, and old vectors that a bridge made.

    Raises ModelError or DatabaseError.
    """
    rows = _sample_rows(migration, vector, limit)
    sides = {side.column: side.long_texts for side in (migration.plan.old, migration.plan.new)}
    embedder = for_rows(embedder, sides[str(vector.key)])
    answer = embed_texts(embedder, [row.text for row in rows], PATIENCE_SECONDS)
    cosines = {
        position: _cosine(as_array([rows[position].vector])[0], made)
        for position, made in answer.vectors.items()
    }
    foreign = [
        ForeignRow(rows[position].key, rows[position].label or "", cosine)
        for position, cosine in sorted(cosines.items(), key=lambda item: item[1])
        if cosine < MIN_FIDELITY_COSINE
    ]
    return Fidelity(len(cosines), min(cosines.values(), default=0.0), foreign)


def _cosine(stored: np.ndarray, made: np.ndarray) -> float:
    """0 for vectors of different lengths, which no model makes both."""
    if stored.shape != made.shape:
        return 0.0
    norms = np.linalg.norm(stored) * np.linalg.norm(made)
    return float(stored @ made / max(norms, 1e-12))


def _sample_rows(
    migration: Migration, vector: sa.ColumnElement[Any], limit: int
) -> list[sa.Row[Any]]:
    """`key`, `label`, `text` and `vector` of each."""
    columns = (
        migration.key_text.label("key"), migration.label.label("label"),
        migration.content.label("text"), vector.label("vector"),
    )  # fmt: skip
    query = migration.sample(*columns, limit=limit)
    query = query.where(vector.is_not(None), has_text(migration.content))
    with translate_errors("checking the stored vectors"), migration.engine.connect() as connection:
        if vector.key == migration.plan.old.column:
            events = find_events(connection, migration)
            query = query.where(~is_marked(events, migration.key_text, vector))
        return list(connection.execute(query))


def _limit() -> str:
    return f"≥ {MIN_FIDELITY_COSINE}"
