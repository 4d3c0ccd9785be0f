"""Asking a model for many rows: what concerns one row is told from what concerns them all.

A busy model is asked again, with jitter. A batch that is refused is halved until the row that
the model cannot take stands alone. A model that takes nothing at all has no bad rows: it is
unavailable, and no row is blamed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ragkit.embedders import Embedder
from ragkit.errors import (
    BadVectors,
    ModelBusy,
    ModelUnavailable,
    RowRefused,
    SomeRefused,
    WrongDimension,
)

CONTROL = "airport"
"""A text that any model takes."""


@dataclass(frozen=True)
class Answers:
    """Vectors and reasons by the texts' places; each place is in one of the two."""

    vectors: dict[int, np.ndarray]
    refused: dict[int, str]


def ask(embedder: Embedder, texts: Sequence[str], patience_seconds: float) -> Answers:
    """Raises ModelUnavailable (also when still busy after the patience) or WrongDimension."""
    again = Retrying(
        retry=retry_if_exception_type(ModelBusy),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        stop=stop_after_delay(patience_seconds),
        reraise=True,
    )
    answers = Answers({}, {})
    _ask(embedder, texts, range(len(texts)), again, answers)
    if answers.refused and not answers.vectors:
        _require_it_takes_something(embedder, again, next(iter(answers.refused.values())))
    return answers


def _ask(
    embedder: Embedder, texts: Sequence[str], places: Sequence[int], again: Retrying, into: Answers
) -> None:
    try:
        vectors = again.copy()(embedder.embed_documents, [texts[i] for i in places])
        if len(vectors) != len(places):
            raise BadVectors(f"{len(vectors)} vectors for {len(places)} texts")
        into.vectors.update(zip(places, vectors, strict=True))
    except WrongDimension:
        raise
    except SomeRefused as error:
        for place, vector in enumerate(error.vectors):
            if reason := error.refused.get(place):
                into.refused[places[place]] = reason
            else:
                into.vectors[places[place]] = vector
    except (RowRefused, BadVectors) as error:
        if len(places) == 1:
            into.refused[places[0]] = str(error)
            return
        half = len(places) // 2
        for part in (places[:half], places[half:]):
            _ask(embedder, texts, part, again, into)


def _require_it_takes_something(embedder: Embedder, again: Retrying, reason: str) -> None:
    try:
        again.copy()(embedder.embed_documents, [CONTROL])
    except (RowRefused, BadVectors):
        raise ModelUnavailable(
            f"{embedder.model.name} refuses every text, so no row is set aside: {reason}"
        ) from None
