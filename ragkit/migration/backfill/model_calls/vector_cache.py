"""Vectors of texts that were embedded before in this run: the same text is paid for once."""

from collections import OrderedDict
from hashlib import blake2b

import numpy as np

MAX_BYTES = 16 * 2**20
"""Of all vectors; those used longest ago are forgotten first."""


class VectorCache:
    """Vectors of one dimension, by a hash of their text."""

    def __init__(self, dimension: int):
        self._most = MAX_BYTES // (4 * dimension)
        self._vectors: OrderedDict[bytes, np.ndarray] = OrderedDict()

    def get(self, text: str) -> np.ndarray | None:
        key = _hash(text)
        if (vector := self._vectors.get(key)) is not None:
            self._vectors.move_to_end(key)
        return vector

    def put(self, text: str, vector: np.ndarray) -> None:
        self._vectors[_hash(text)] = vector
        if len(self._vectors) > self._most:
            self._vectors.popitem(last=False)


def _hash(text: str) -> bytes:
    return blake2b(text.encode(), digest_size=16).digest()
