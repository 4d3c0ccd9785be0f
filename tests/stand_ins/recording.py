"""A real embedder that records its texts, and lets a test act while a batch is at the model."""

from collections.abc import Callable, Sequence

import numpy as np

from ragkit.embedding.embedder import Embedder


class RecordingEmbedder:
    """`texts`: every text that was sent. `before_answer` is called with the texts of each call,
    after they were read from the table and before their vectors are answered."""

    def __init__(
        self, embedder: Embedder, before_answer: Callable[[Sequence[str]], object] = lambda _: None
    ):
        self.model, self._embedder, self._before_answer = embedder.model, embedder, before_answer
        self.texts: list[str] = []

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        self.texts += texts
        self._before_answer(texts)
        return self._embedder.embed_documents(texts)
