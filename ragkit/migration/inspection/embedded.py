"""Vectors of a few rows by the new model, bought before the backfill to see what it will bring."""

from collections.abc import Sequence
from time import monotonic

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.migration.backfill.model_calls.embed import embed_texts
from ragkit.migration.inspection.cost import PATIENCE_SECONDS
from ragkit.migration.migration import Migration

SECONDS = 10.0
"""For the model; rows that it has not embedded by then are left out."""


def embed_rows(
    migration: Migration, embedder: Embedder, texts: Sequence[str]
) -> dict[str, np.ndarray]:
    """Vectors by text, each of shape (dimension,), without those that the model refuses. Raises
    ModelError."""
    model, size = for_rows(embedder, migration.plan.new.long_texts), embedder.model.max_texts
    start = monotonic()
    vectors: dict[str, np.ndarray] = {}
    for first in range(0, len(texts), size):
        if monotonic() - start > SECONDS:
            break
        part = texts[first : first + size]
        found = embed_texts(model, part, PATIENCE_SECONDS).vectors
        vectors |= {part[position]: vector for position, vector in found.items()}
    return vectors
