"""Any LangChain `Embeddings` object (or class of one) as an embedder, by `module:attribute`."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from ragkit.deadline import call_within
from ragkit.embedding.catalogue import MAX_DIMENSION, Model
from ragkit.embedding.catalogue.facts import Facts, facts_of
from ragkit.embedding.catalogue.names import split_dimension
from ragkit.embedding.embedder import PROBE_TEXT, fit_vectors
from ragkit.embedding.importing import import_attribute
from ragkit.embedding.service.errors import PASSING, REFUSED, retry_after, status_of
from ragkit.errors import (
    ConfigError,
    ModelBusy,
    ModelError,
    ModelUnavailable,
    RagkitError,
    RowRefused,
)

IN_FLIGHT = 4
"""LangChain itself calls such an object from several threads."""
CALL_SECONDS = 120.0
"""For one call, with whatever retries the object makes. A batch on a slow machine fits in."""
_MODEL_ATTRIBUTES = ("model", "model_name", "model_id", "deployment")
"""Where LangChain's integrations keep the name of the model."""


class PluginEmbedder:
    """An Embedder named by its `module:attribute`; a first question tells its dimension. With a
    dimension, as in `module:attribute/256`, that many of each vector are kept."""

    def __init__(self, name: str, facts: Facts | None = None):
        base, dimension = split_dimension(name)
        attribute = import_attribute(base)
        for verb in ("embed_documents", "embed_query"):
            if not callable(getattr(attribute, verb, None)):
                raise ConfigError(f"{name} has no {verb}(): expected a LangChain Embeddings object")
        self._embeddings: Any = _make(attribute) if isinstance(attribute, type) else attribute
        made = _dimension(name, self._call("embed_query", PROBE_TEXT))
        behind = _class_and_model(self._embeddings)
        own = {**facts_of(facts, base), "dimension": made}
        model = replace(Model(name, "plugin", made, in_flight=IN_FLIGHT, behind=behind), **own)
        self.model = model if dimension is None else _shorten(model, dimension)

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        return fit_vectors(self._call("embed_documents", list(texts)), len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        vector: np.ndarray = fit_vectors([self._call("embed_query", text)], 1, self.model)[0]
        return vector

    def _call(self, verb: str, argument: object) -> Any:
        try:
            return call_within(CALL_SECONDS, getattr(self._embeddings, verb), argument)
        except Exception as error:  # a third party's object may raise anything
            raise _classify_error(verb, error) from None


def _make(kind: type) -> Any:
    """Raises ModelUnavailable, without the error's text: it may hold a key."""
    try:
        return kind()
    except RagkitError:
        raise
    except Exception as error:  # a third party's class may raise anything
        raise ModelUnavailable(
            f"{kind.__qualname__} cannot be made: {type(error).__name__}; expected a class that "
            "needs no argument, or an object: check its key and settings in the environment"
        ) from None


def _dimension(name: str, vector: object) -> int:
    """Raises ModelUnavailable."""
    with suppress(TypeError, ValueError):
        found = np.asarray(vector, np.float32)
        if found.ndim == 1 and 0 < len(found) <= MAX_DIMENSION:
            return len(found)
    raise ModelUnavailable(
        f"{name}: expected a list of numbers from embed_query, at most {MAX_DIMENSION:,}, got "
        f"{type(vector).__name__}: correct the object"
    )


def _shorten(model: Model, dimension: int) -> Model:
    if dimension > model.dimension:
        raise ConfigError(f"{model.name} makes {model.dimension} dimensions, fewer than its name")
    if dimension == model.dimension:
        return model
    behind = f"{model.behind}/{dimension}"
    return replace(model, dimension=dimension, whole=model.dimension, behind=behind)


def _class_and_model(embeddings: object) -> str:
    """Such as "langchain_openai.OpenAIEmbeddings(text-embedding-3-small)". It stays the same when
    the object moves to another module, and changes when the object calls another model."""
    kind = type(embeddings)
    name = f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"
    for attribute in _MODEL_ATTRIBUTES:
        if isinstance(model := getattr(embeddings, attribute, None), str):
            return f"{name}({model})"
    return name


def _classify_error(verb: str, error: Exception) -> ModelError:
    """By the HTTP status that clients of model services put on their errors, or by its type.

    Its text is left out: it may hold a key.
    """
    status = status_of(error)
    message = f"the plug-in's {verb} failed: {type(error).__name__}"
    message += f" {status}" if status else ""
    passes = status in PASSING or (status or 0) >= 500
    if status in REFUSED or (status is None and isinstance(error, ValueError)):
        return RowRefused(message)
    if passes or isinstance(error, TimeoutError | ConnectionError):
        return ModelBusy(message, retry_after(error))
    return ModelUnavailable(message)
