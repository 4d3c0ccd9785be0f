"""Embedders: text in, float32 vectors out, one module a provider.

The two verbs are those of LangChain's `Embeddings`, so such an object can be plugged in by
`module:attribute`. Every embedder is checked on the way out: count, dimension, finite values.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Protocol

import numpy as np

from ragkit.errors import BadVectors, ConfigError, ModelUnavailable, WrongDimension
from ragkit.models import Model, find


class Embedder(Protocol):
    """Anything that turns texts into vectors of one space."""

    model: Model

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of rows, float32 of shape (len(texts), dimension)."""

    def embed_query(self, text: str) -> np.ndarray:
        """The vector of one question, float32 of shape (dimension,)."""


class Meter(Protocol):
    """Told of each request to a paid service; `embedder.meter` where an embedder has one."""

    def before(self, tokens: int) -> None:
        """With the tokens by estimate. May wait for the quota, or raise BudgetSpent."""

    def after(self, tokens: int) -> None:
        """With the tokens that the service counted."""


def load(name: str) -> Embedder:
    """The embedder of a model of the catalogue, or of `module:attribute`.

    Raises UnknownModel, ConfigError (the plug-in cannot be imported) or ModelUnavailable
    (its package is not installed, its weights or credentials are missing).
    """
    if ":" in name:
        from ragkit.embedders.plugin import PluginEmbedder

        return PluginEmbedder(name)
    model = find(name)
    try:
        return import_module(f"ragkit.embedders.{model.provider}").load(model)
    except ImportError as error:
        raise ModelUnavailable(
            f"model {name} needs the package {error.name!r}: pip install -r requirements.txt"
        ) from error


def model_of(name: str) -> Model:
    """The catalogue's entry, or for `module:attribute` what a first call of the object tells."""
    return load(name).model if ":" in name else find(name)


def checked(vectors: object, count: int, model: Model) -> np.ndarray:
    """`vectors` as float32 of shape (count, dimension).

    Raises BadVectors, or WrongDimension when every vector is of another length."""
    try:
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


def imported(path: str) -> object:
    """The object behind `module:attribute`. Raises ConfigError when there is none."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot load {path!r} as module:attribute: {error}") from error
