"""wordllama: static word vectors, pooled, 256 or 64 dimensions. The sandbox's legacy model."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import wordllama

from ragkit.embedders import checked
from ragkit.models import Model

DIMENSION = 256
"""Of the weights in the wheel; the first ones of a vector serve as a smaller one (Matryoshka)."""


class WordLlamaEmbedder:
    def __init__(self, model: Model):
        self.model = model
        # The wheel ships weights and tokenizer; without cache_dir they are looked up in a hub.
        self._words = wordllama.WordLlama.load(
            dim=DIMENSION,
            trunc_dim=model.dimension if model.dimension < DIMENSION else None,
            cache_dir=Path(wordllama.__file__).parent,
            disable_download=True,
        )

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        if not texts:
            return np.empty((0, self.model.dimension), np.float32)
        return checked(self._words.embed(list(texts), norm=True), len(texts), self.model)

    def embed_query(self, text: str) -> np.ndarray:
        return self.embed_documents([text])[0]


load = WordLlamaEmbedder
