"""wordllama: static word vectors, pooled, 256 or 64 dimensions. The sandbox's legacy model."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import wordllama

from ragkit.embedding.catalogue import Model
from ragkit.embedding.embedder import validate_vectors

DIMENSION = 256
"""Of the weights in the wheel; a vector's first dimensions serve as a smaller one (Matryoshka)."""


class WordLlamaEmbedder:
    """An Embedder."""

    def __init__(self, model: Model):
        self.model = model
        # The wheel ships weights and tokenizer; without cache_dir they are looked up in a hub.
        self._model = wordllama.WordLlama.load(
            dim=DIMENSION,
            trunc_dim=model.dimension if model.dimension < DIMENSION else None,
            cache_dir=Path(wordllama.__file__).parent,
            disable_download=True,
        )

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.empty((0, self.model.dimension), np.float32)
        vectors = self._model.embed(list(texts), norm=True)
        return validate_vectors(vectors, len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        vector: np.ndarray = self.embed_documents([text])[0]
        return vector


def load(model: Model, _: Mapping[str, str]) -> WordLlamaEmbedder:
    """Needs nothing of the environment."""
    return WordLlamaEmbedder(model)
