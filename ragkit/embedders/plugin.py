"""Any LangChain `Embeddings` object (or class of one) as an embedder, by `module:attribute`."""

from collections.abc import Sequence

import numpy as np

from ragkit.embedders import checked, imported
from ragkit.errors import ConfigError, ModelBusy, ModelError, ModelUnavailable, RowRefused
from ragkit.models import Model


class PluginEmbedder:
    """Named by its `module:attribute`; a first question tells its dimension."""

    def __init__(self, name: str):
        found = imported(name)
        self._embeddings = found() if isinstance(found, type) else found
        for verb in ("embed_documents", "embed_query"):
            if not callable(getattr(self._embeddings, verb, None)):
                raise ConfigError(f"{name} has no {verb}(): expected a LangChain Embeddings object")
        self.model = Model(name, "plugin", dimension=len(self._call("embed_query", "dimension?")))

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        return checked(self._call("embed_documents", list(texts)), len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        return checked([self._call("embed_query", text)], 1, self.model)[0]

    def _call(self, verb: str, argument: object) -> Sequence:
        try:
            return getattr(self._embeddings, verb)(argument)
        except Exception as error:  # a third party's object may raise anything
            raise _told_apart(verb, error) from None


def _told_apart(verb: str, error: Exception) -> ModelError:
    """By the HTTP status that clients of model services put on their errors, or by its kind.

    Its text is left out: it may hold a key.
    """
    response = getattr(error, "response", None)
    status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
    said = f"the plug-in's {verb} failed: {type(error).__name__}" + (f" {status}" if status else "")
    if status in (400, 413, 422) or isinstance(error, ValueError):
        return RowRefused(said)
    if status == 429 or (status or 0) >= 500 or isinstance(error, TimeoutError | ConnectionError):
        return ModelBusy(said)
    return ModelUnavailable(said)
