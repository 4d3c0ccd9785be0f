"""Any LangChain `Embeddings` object (or class of one) as an embedder, by `module:attribute`."""

import os
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from ragkit.deadline import call_within
from ragkit.embedding.catalogue import Model
from ragkit.embedding.catalogue.facts import Facts, facts_of
from ragkit.embedding.catalogue.names import split_dimension
from ragkit.embedding.embedder import PROBE_TEXT, fit_vectors
from ragkit.embedding.service.errors import PASSING, REFUSED, retry_after, status_of
from ragkit.errors import ConfigError, ModelBusy, ModelError, ModelUnavailable, RowRefused

PLUGIN_PATH = "RAGKIT_PLUGIN_PATH"
"""The environment variable with further folders of plug-ins."""
SITE_PACKAGES = ("site-packages", "dist-packages")
IN_FLIGHT = 4
"""LangChain itself calls such an object from several threads."""
_BESIDE_RAGKIT = Path(__file__).resolve().parents[3]
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
        self._embeddings: Any = attribute() if isinstance(attribute, type) else attribute
        made = len(self._call("embed_query", PROBE_TEXT))
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


def import_attribute(path: str) -> Any:
    """The object behind `module:attribute`.

    Raises ConfigError when there is none, or when its module lies in no allowed place: beside
    ragkit, in site-packages, or in a folder of RAGKIT_PLUGIN_PATH. Nothing is run before.
    """
    module, _, attribute = path.partition(":")
    try:
        _require_allowed(module.partition(".")[0])
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"cannot load {path!r} as module:attribute: {error}") from error


def _require_allowed(package: str) -> None:
    """For a top-level name. The current folder and the standard library are not allowed."""
    spec = find_spec(package)
    if spec is None:
        raise ModuleNotFoundError(f"No module named {package!r}")
    in_file = [spec.origin] if spec.has_location and spec.origin else []
    origins: list[str] = list(spec.submodule_search_locations or in_file)
    added = filter(None, os.environ.get(PLUGIN_PATH, "").split(os.pathsep))
    allowed = [_BESIDE_RAGKIT, *(Path(folder).resolve() for folder in added)]
    for origin in origins or ["/"]:  # the interpreter's own
        folder = Path(origin).resolve().parent
        if folder.name not in SITE_PACKAGES and folder not in allowed:
            place = origin if origins else "the standard library"
            raise ConfigError(
                f"{package!r} may not be loaded from {place}: a params file is code; if it is "
                f"yours, add its folder to {PLUGIN_PATH}"
            )
