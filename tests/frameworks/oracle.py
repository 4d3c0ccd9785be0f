"""What an answer must be, by brute force over the texts with the model of the revision asked."""

import random
from collections.abc import Sequence

import numpy as np

from tests.frameworks import models

K, TOLERANCE = 5, 1e-4
_STEMS = ("wool", "tea", "copper", "harbour", "lemon", "train", "paper", "salt")
_ENDS = ("en", "ish", "er", "ling", "let", "some", "ward", "y", "ful", "like")
WORDS = [f"{stem}{end}" for stem in _STEMS for end in _ENDS]


def text_of(number: int, chosen: random.Random) -> str:
    """A text that no other row has."""
    return f"{' '.join(chosen.sample(WORDS, 9))} n{number}"


class Oracle:
    """Knows the rows that nobody writes to: whatever else an answer holds, these must come in their
    order, and none of the nearer ones may be left out."""

    def __init__(self, quiet: Sequence[str]):
        self._quiet = set(quiet)
        self.sent = set(quiet)
        """Every text that was ever written: an answer with another one is somebody else's."""
        self._vectors = {
            name: np.array(getattr(models, name).embed_documents(list(quiet)))
            for name in ("OLD", "NEW", "TWIN", "PADDED")
        }

    def is_right(self, model: str, question: str, answer: Sequence[str]) -> bool:
        """Whether vectors of `model`'s space, each that of its row's text, gave this answer of K
        rows."""
        if len(answer) != K or not self.sent.issuperset(answer):
            return False
        embedder = getattr(models, model)
        asked = np.array(embedder.embed_query(question))
        near = np.array(embedder.embed_documents(list(answer))) @ asked
        best = np.sort(self._vectors[model] @ asked)[::-1]
        quiet = [value for text, value in zip(answer, near, strict=True) if text in self._quiet]
        return bool(
            (np.diff(near) <= TOLERANCE).all()
            and all(value >= limit - TOLERANCE for value, limit in zip(quiet, best, strict=False))
        )
