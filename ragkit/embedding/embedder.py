"""The Embedder protocol, and the validation of what a model answers.

The two verbs are those of LangChain's `Embeddings`, so such an object can be plugged in by
`module:attribute`. Every answer of a model is validated: count, dimension, finite values.
"""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, runtime_checkable

import numpy as np

from ragkit.embedding.catalogue import Model
from ragkit.errors import BadVectors, WrongDimension

PROBE_TEXT = "a test"
"""A text that every model takes: asked to see whether a model answers."""


class Embedder(Protocol):
    """Turns texts into vectors of one space."""

    model: Model

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of rows: float32 of shape (len(texts), dimension). Raises ModelError."""
        ...

    def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question: float32 of shape (dimension,). Raises ModelError."""
        ...


@runtime_checkable
class TokenCounter(Protocol):
    """An embedder whose model's own tokenizer runs here."""

    special_tokens: int
    """Tokens that the model adds to each text; they count towards its limit."""

    def token_spans(self, text: str) -> list[tuple[int, int]]:
        """Start and end in `text`, in characters, of each of its tokens, without the special."""
        ...


@runtime_checkable
class JointEmbedder(Embedder, Protocol):
    """An embedder of a service that takes a question and rows together."""

    def embed_jointly(
        self, question: str, texts: Sequence[str]
    ) -> tuple[np.ndarray, dict[int, np.ndarray | None]]:
        """The question's vector, and those of the texts by position: None for one that the model
        does not take, nothing for one whose request failed. Raises ModelError where the question's
        own request did."""
        ...


class RequestMeter(Protocol):
    """Is told of each request to a paid service, before and after it by the same thread."""

    def before(self, tokens: int) -> None:
        """`tokens` is an estimate. May wait for the quota, or raise BudgetExceeded."""
        ...

    def after(self, tokens: int) -> None:
        """`tokens` as the service counted them."""
        ...

    def busy(self) -> None:
        """The service refuses the request for now (429); the client may send it again."""
        ...


@runtime_checkable
class MeteredEmbedder(Embedder, Protocol):
    """An embedder of a paid service."""

    def with_meter(self, meter: RequestMeter) -> Embedder:
        """An embedder with the same client, whose requests go through `meter`."""
        ...


def validate_vectors(vectors: object, count: int, model: Model) -> np.ndarray:
    """`vectors` as float32 of shape (count, dimension).

    Raises WrongDimension when every vector has another length, else BadVectors.
    """
    try:
        with np.errstate(over="ignore"):  # infinite values are told below
            array = np.asarray(vectors, dtype=np.float32)
    except (TypeError, ValueError):
        raise BadVectors(f"{model.name} answered vectors of unequal or no length") from None
    expected = (count, model.dimension)
    if array.ndim == 2 and array.shape[1] != model.dimension:
        raise WrongDimension(f"{model.name} answered shape {array.shape}, expected {expected}")
    if array.shape != expected:
        raise BadVectors(f"{model.name} answered shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise BadVectors(f"{model.name} answered NaN or infinite values")
    return array


def fit_vectors(vectors: object, count: int, model: Model) -> np.ndarray:
    """The same of a model of which fewer dimensions are asked: one that makes all of them is cut,
    and every vector has unit length, which the first dimensions of a unit vector have not.

    It needs a model that was trained for it (Matryoshka); source: Kusupati et al., 2022,
    "Matryoshka Representation Learning".
    """
    if model.whole is None or model.whole < model.dimension:
        return validate_vectors(vectors, count, model)
    with suppress(WrongDimension):
        whole = validate_vectors(vectors, count, replace(model, dimension=model.whole))
        vectors = whole[:, : model.dimension]
    array = validate_vectors(vectors, count, model)
    lengths = np.linalg.norm(array, axis=1, keepdims=True)
    if not lengths.all():
        raise BadVectors(f"{model.name} answered a vector whose first dimensions are all 0")
    unit: np.ndarray = array / lengths
    return unit
