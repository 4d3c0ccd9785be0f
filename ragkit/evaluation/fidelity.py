"""Fidelity: are the stored vectors those of their texts, by the model that is said to be theirs?"""

from typing import Any

import numpy as np

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.migration.migration import Migration
from ragkit.migration.verdict import Gate

FIDELITY_ROWS = 32
MIN_FIDELITY_COSINE = 0.98
"""Between a stored vector and the same text embedded again. The vectors of an int8 model vary a
little with the other texts of a batch."""


def fidelity_gate(migration: Migration, embedder: Embedder) -> Gate:
    """Embeds a few texts of the new column again: finds vectors of another model, and vectors of
    an earlier text. Raises ModelError or DatabaseError."""
    name, limit = "stored vectors match their texts", f"≥ {MIN_FIDELITY_COSINE}"
    rows = _sample_rows(migration)
    if not rows:
        return Gate(name, "no rows", limit, passed=False)
    stored = np.array([vector for _, vector in rows], np.float32)
    embedded = embedder.embed_documents([text for text, _ in rows])
    norms = np.linalg.norm(stored, axis=1) * np.linalg.norm(embedded, axis=1)
    lowest = float(((stored * embedded).sum(axis=1) / np.maximum(norms, 1e-12)).min())
    observed = f"lowest cosine {lowest:.3f} of {len(rows)} rows"
    return Gate(name, observed, limit, lowest >= MIN_FIDELITY_COSINE)


def _sample_rows(migration: Migration) -> list[tuple[str, Any]]:
    """Texts and their new vectors, the same few rows each time."""
    query = migration.sample(migration.content, migration.new_vector, limit=FIDELITY_ROWS)
    query = query.where(migration.new_vector.is_not(None))
    with translate_errors("checking the stored vectors"), migration.engine.connect() as connection:
        return [(text, vector) for text, vector in connection.execute(query)]
