"""Texts with the statistics of real ones: a Markov chain of words of order 2.

Each word follows the two before it as it does in the sources, so that frequent words are frequent
and phrases are phrases. What the chain says has no sense, but shares phrases with the sources.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

END = 0
"""Stands behind each text."""


@dataclass(frozen=True)
class Words:
    """`ids` are the words of texts, each text followed by END; `vocabulary` are the words by id."""

    ids: np.ndarray
    vocabulary: np.ndarray

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Words":
        numbers: dict[str, int] = {"": END}
        ids = [
            numbers.setdefault(word, len(numbers)) for text in texts for word in (*text.split(), "")
        ]
        return cls(np.array(ids), np.array(list(numbers), object))


class Chain:
    """Safe to use in several processes: a seed alone decides what `draw` returns."""

    def __init__(self, words: Words):
        """Raises ValueError where no text has two words."""
        self._ids = words.ids
        pairs = np.flatnonzero((words.ids[:-1] != END) & (words.ids[1:] != END))
        if not len(pairs):
            raise ValueError("a chain of order 2 needs a text of two words at least")
        codes = words.ids[pairs] * len(words.vocabulary) + words.ids[pairs + 1]
        self._places = pairs[np.argsort(codes, kind="stable")]
        _, group, self._sizes = np.unique(codes, return_inverse=True, return_counts=True)
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._group = np.zeros(len(words.ids), np.int64)
        self._group[pairs] = group
        first = np.append(True, words.ids[:-1] == END)
        self._begin = pairs[first[pairs]]

    def draw(self, lengths: np.ndarray, seed: int) -> list[np.ndarray]:
        """Ids of words, one array of each length. A text that ends before it begins another one."""
        random, count = np.random.default_rng(seed), len(lengths)
        places = random.choice(self._begin, count)
        ids = np.empty((count, int(lengths.max())), np.int64)
        for step in range(ids.shape[1]):
            ids[:, step] = self._ids[places]
            places = self._follow(places, random)
        return [row[:length] for row, length in zip(ids, lengths, strict=True)]

    def _follow(self, places: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The places of the words behind any pair that is the same as the one at `places`."""
        group = self._group[places]
        offsets = (random.random(len(places)) * self._sizes[group]).astype(np.int64)
        followed = self._places[self._starts[group] + offsets] + 1
        is_over = self._ids[places + 1] == END
        followed[is_over] = random.choice(self._begin, int(is_over.sum()))
        return followed
