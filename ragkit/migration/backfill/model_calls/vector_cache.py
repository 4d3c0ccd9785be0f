"""Vectors of texts that were embedded before in this run: the same text is paid for once."""

from collections import OrderedDict

import numpy as np

MAX_BYTES = 16 * 2**20
"""Of all texts and vectors; those used longest ago are forgotten first."""


class VectorCache:
    """Vectors by their text."""

    def __init__(self) -> None:
        self._vectors: OrderedDict[str, np.ndarray] = OrderedDict()
        self._bytes = 0

    def get(self, text: str) -> np.ndarray | None:
        if (vector := self._vectors.get(text)) is not None:
            self._vectors.move_to_end(text)
        return vector

    def put(self, text: str, vector: np.ndarray) -> None:
        """Of a text that is not there."""
        self._vectors[text] = vector
        self._bytes += _size(text, vector)
        while self._bytes > MAX_BYTES:
            self._bytes -= _size(*self._vectors.popitem(last=False))


def _size(text: str, vector: np.ndarray) -> int:
    """In bytes; a character takes four at most."""
    return 4 * len(text) + vector.nbytes
