"""Any LangChain `Embeddings` object (or class of one) as an embedder, by `module:attribute`."""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from ragkit.deadline import call_within
from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import PROBE_TEXT, validate_vectors
from ragkit.errors import ConfigError, ModelBusy, ModelError, ModelUnavailable, RowRefused

CALL_SECONDS = 120.0
"""For one call, with whatever retries the object makes. A batch on a slow machine fits in."""
_MODEL_ATTRIBUTES = ("model", "model_name", "model_id", "deployment")
"""Where LangChain's integrations keep the name of the model."""


class PluginEmbedder:
    """An Embedder named by its `module:attribute`; a first question tells its dimension."""

    def __init__(self, name: str):
        attribute = import_attribute(name)
        self._embeddings: Any = attribute() if isinstance(attribute, type) else attribute
        for verb in ("embed_documents", "embed_query"):
            if not callable(getattr(self._embeddings, verb, None)):
                raise ConfigError(f"{name} has no {verb}(): expected a LangChain Embeddings object")
        dimension = len(self._call("embed_query", PROBE_TEXT))
        behind = _class_and_model(self._embeddings)
        self.model = Model(name, "plugin", dimension=dimension, behind=behind)

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        return validate_vectors(self._call("embed_documents", list(texts)), len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        vector: np.ndarray = validate_vectors([self._call("embed_query", text)], 1, self.model)[0]
        return vector

    def _call(self, verb: str, argument: object) -> Any:
        try:
            return call_within(CALL_SECONDS, getattr(self._embeddings, verb), argument)
        except Exception as error:  # a third party's object may raise anything
            raise _classify_error(verb, error) from None


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
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    message = f"the plug-in's {verb} failed: {type(error).__name__}"
    message += f" {status}" if status else ""
    if status in (400, 413, 422) or isinstance(error, ValueError):
        return RowRefused(message)
    if status == 429 or (status or 0) >= 500 or isinstance(error, TimeoutError | ConnectionError):
        return ModelBusy(message)
    return ModelUnavailable(message)


def import_attribute(path: str) -> Any:
    """The object behind `module:attribute`. Raises ConfigError when there is none."""
    module, _, attribute = path.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot load {path!r} as module:attribute: {error}") from error
