"""A plug-in whose vectors are too wide for an index: letter pairs and words, projected."""

import itertools
import zlib

import numpy as np

DIMENSION, FEATURES = 4096, 512


class Wide:
    """Deterministic. Texts that share pairs and words have similar vectors, and so have the first
    dimensions of these vectors alone."""

    projection = np.random.default_rng(7).normal(size=(FEATURES, DIMENSION)).astype(np.float32)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        counts = np.zeros(FEATURES, np.float32)
        lower = text.lower()
        for part in [*lower.split(), *map("".join, itertools.pairwise(lower))]:
            counts[zlib.crc32(part.encode()) % FEATURES] += 1
        vector = counts @ self.projection
        vector /= max(float(np.linalg.norm(vector)), 1e-12)
        values: list[float] = vector.tolist()
        return values
