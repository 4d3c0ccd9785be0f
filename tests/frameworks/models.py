"""Three small, real models: words hashed into a vector. No package is needed, so that each
framework's own environment runs the same ones as ragkit, which loads them as module:attribute.

OLD and NEW differ in dimension. OLD and TWIN do not: only their answers tell them apart.
"""

import hashlib
from functools import lru_cache


@lru_cache(maxsize=10_000)
def _place(salt: str, word: str) -> tuple[int, float]:
    digest = hashlib.sha256(f"{salt} {word}".encode()).digest()
    return int.from_bytes(digest[:4], "big"), 1.0 + digest[4] / 256


class Hashing:
    """Embeddings as LangChain knows them; each word adds to one dimension and takes from another.
    `padded`: zeros are added up to this length, as Open WebUI does."""

    def __init__(self, salt: str, dimension: int, padded: int = 0):
        self.model = f"hashing-{salt}-{dimension}"
        self.dimension = padded or dimension
        self._salt, self._used = salt, dimension

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        for word in text.lower().split():
            for sign in (1.0, -1.0):
                place, weight = _place(f"{self._salt}{sign}", word)
                vector[place % self._used] += sign * weight
        length = sum(value * value for value in vector) ** 0.5
        return [value / length for value in vector] if length else [1.0, *vector[1:]]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.embed_documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        return self.embed_query(text)


OLD, NEW, TWIN = Hashing("old", 64), Hashing("new", 96), Hashing("twin", 64)
PADDED = Hashing("old", 48, padded=64)
