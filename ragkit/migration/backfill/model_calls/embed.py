"""Embeds a batch, and separates errors of one row from errors that affect every row.

A busy model is asked again, with jitter. A batch that the model refuses is halved until the row
that it cannot take is alone. That row is refused only if it alone fails again after a control text
passed, so a model that fails for a moment blames no row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from tenacity import Retrying

from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import (
    BadVectors,
    ModelBusy,
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
    embedder: Embedder,
    texts: Sequence[str],
    patience_seconds: float,
    idle: Callable[[], float] = lambda: 0.0,
) -> EmbeddingResult:
    """The time that it was `idle`, in seconds, takes nothing of the patience.

    Raises ModelUnavailable (ModelBusy when still busy, or still refusing every text, after the
    patience) or WrongDimension.
    """
    policy, result = busy_model(patience_seconds, idle), EmbeddingResult()
    if texts:
        _embed(embedder, texts, range(len(texts)), policy, result)
    if result.refused and not result.vectors:
        policy.copy()(_require_control, embedder)
    return result


def _embed(
    embedder: Embedder,
    texts: Sequence[str],
    positions: Sequence[int],
    policy: Retrying,
    result: EmbeddingResult,
    is_last: bool = False,
) -> None:
    """`is_last`: a refusal of a text that is alone counts."""
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
        if len(positions) > 1:
            half = len(positions) // 2
            for part in (positions[:half], positions[half:]):
                _embed(embedder, texts, part, policy, result)
        elif is_last:
            result.refused[positions[0]] = str(error)
        else:
            policy.copy()(_require_control, embedder)
            _embed(embedder, texts, positions, policy, result, is_last=True)


def _require_control(embedder: Embedder) -> None:
    """A text that every model takes. Raises ModelBusy when even that is refused."""
    try:
        embedder.embed_documents([PROBE_TEXT])
    except WrongDimension:
        raise
    except (RowRefused, BadVectors) as error:
        raise ModelBusy(
            f"{embedder.model.name} refuses every text, so no row becomes a dead letter: {error}"
        ) from None
