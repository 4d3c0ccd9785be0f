"""Embeds a batch, and separates errors of one row from errors that affect every row.

A busy model is asked again, with jitter. A batch that the model refuses is halved until the row
that it cannot take is alone. A model that refuses every text is unavailable: no row is marked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from tenacity import Retrying

from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import (
    BadVectors,
    ModelUnavailable,
    PartialRefusal,
    RowRefused,
    WrongDimension,
)
from ragkit.retry import busy_model


@dataclass(frozen=True)
class EmbeddingResult:
    """Vectors of shape (dimension,), and reasons, by the texts' positions: each is in one."""

    vectors: dict[int, np.ndarray] = field(default_factory=dict)
    refused: dict[int, str] = field(default_factory=dict)


def embed_texts(
    embedder: Embedder, texts: Sequence[str], patience_seconds: float
) -> EmbeddingResult:
    """Raises ModelUnavailable (ModelBusy when still busy after the patience) or WrongDimension."""
    policy, result = busy_model(patience_seconds), EmbeddingResult()
    _embed(embedder, texts, range(len(texts)), policy, result)
    if result.refused and not result.vectors:
        _require_working_model(embedder, policy, next(iter(result.refused.values())))
    return result


def _embed(
    embedder: Embedder,
    texts: Sequence[str],
    positions: Sequence[int],
    policy: Retrying,
    result: EmbeddingResult,
) -> None:
    try:
        vectors = policy.copy()(embedder.embed_documents, [texts[i] for i in positions])
        if len(vectors) != len(positions):
            raise BadVectors(f"{len(vectors)} vectors for {len(positions)} texts")
        result.vectors.update(zip(positions, vectors, strict=True))
    except WrongDimension:
        raise
    except PartialRefusal as error:
        for place, vector in enumerate(error.vectors):
            if reason := error.refused.get(place):
                result.refused[positions[place]] = reason
            else:
                result.vectors[positions[place]] = vector
    except (RowRefused, BadVectors) as error:
        if len(positions) == 1:
            result.refused[positions[0]] = str(error)
            return
        half = len(positions) // 2
        for part in (positions[:half], positions[half:]):
            _embed(embedder, texts, part, policy, result)


def _require_working_model(embedder: Embedder, policy: Retrying, reason: str) -> None:
    try:
        policy.copy()(embedder.embed_documents, [PROBE_TEXT])
    except (RowRefused, BadVectors):
        raise ModelUnavailable(
            f"{embedder.model.name} refuses every text, so no row becomes a dead letter: {reason}"
        ) from None
