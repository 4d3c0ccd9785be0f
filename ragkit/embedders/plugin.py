"""Any LangChain `Embeddings` object (or class of one) as an embedder, by `module:attribute`."""

from collections.abc import Sequence

import numpy as np

from ragkit.embedders import checked, imported
from ragkit.errors import ConfigError, ModelUnavailable
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
            kind = type(error).__name__  # its text may hold a key
            raise ModelUnavailable(f"the plug-in's {verb} failed: {kind}") from None
