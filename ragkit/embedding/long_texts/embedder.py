"""An embedder that takes long texts: their start, or the mean of the vectors of their pieces.

Pieces count by their lengths in the mean. Otherwise the short last piece of a text would count as
much as a full one: on Cranfield, nDCG@10 would be .374 instead of .397. The same text always gets
the same pieces, so that a stored vector can be checked by embedding its text again.
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ragkit.embedding.embedder import Embedder, validate_vectors
from ragkit.embedding.long_texts.split import Limit, limits_of, split_text
from ragkit.errors import PartialRefusal, RowRefused

LongTexts = Literal["refuse", "cut", "pieces"]
"""What becomes of a text that the model does not take whole."""
PIECES_A_CALL = 256
"""So that a call of a slow model ends within its deadline."""
UNIT_TOLERANCE = 1e-3
"""How much the length of a unit vector may differ from 1."""


def for_rows(embedder: Embedder, long_texts: LongTexts) -> Embedder:
    """For a column whose long texts are treated so; the embedder itself for `refuse`. A meter
    belongs around the embedder that is given: it counts requests, not texts."""
    return embedder if long_texts == "refuse" else LongTextEmbedder(embedder, long_texts)


class LongTextEmbedder:
    """An Embedder around another one. The vector of a text that fits is the other's."""

    def __init__(self, embedder: Embedder, long_texts: LongTexts):
        self.model, self._embedder = embedder.model, embedder
        self._only_start = long_texts == "cut"
        self._limits = limits_of(embedder)

    def embed_query(self, text: str) -> np.ndarray:
        return self._embedder.embed_query(text)

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        """Raises PartialRefusal, with the vectors of the others, when texts are refused even in
        the smallest pieces; RowRefused for a text that is alone, and as the other embedder does."""
        waiting, refused = list(enumerate(texts)), dict[int, str]()
        made: list[list[tuple[np.ndarray, int]]] = [[] for _ in texts]  # with the piece's length
        for limit in self._limits:
            parts = [(i, part) for i, text in waiting for part in self._parts(text, limit)]
            if refused and parts == waiting:
                continue  # they are smaller than that already
            answers, reasons = self._embed([part for _, part in parts], alone=len(texts) == 1)
            for place, (i, part) in enumerate(parts):
                if place not in reasons:
                    made[i].append((answers[place], len(part)))
            waiting = [parts[place] for place in reasons]
            refused = {parts[place][0]: reason for place, reason in reasons.items()}
            if not refused:
                break
        if refused and len(texts) == 1:
            raise RowRefused(refused[0])
        means = np.zeros((len(texts), self.model.dimension), np.float32)
        for i, pieces in enumerate(made):
            if pieces:
                means[i] = weighted_mean(*zip(*pieces, strict=True))
        if refused:
            raise PartialRefusal(refused, means)
        return means

    def _parts(self, text: str, limit: Limit) -> list[str]:
        """What is embedded of a text; never white space alone, which models refuse."""
        pieces = split_text(text, limit)
        parts = [piece for piece in pieces if not piece.isspace()] or pieces[:1]
        return parts[:1] if self._only_start else parts

    def _embed(self, texts: Sequence[str], alone: bool) -> tuple[np.ndarray, dict[int, str]]:
        """Vectors, and reasons by the positions of those that must not be used. `alone`: all are
        pieces of one text, so that the text is known when the model does not say which it means."""
        vectors = np.zeros((len(texts), self.model.dimension), np.float32)
        refused: dict[int, str] = {}
        for start in range(0, len(texts), PIECES_A_CALL):
            part = texts[start : start + PIECES_A_CALL]
            places = range(start, start + len(part))
            try:
                answer = self._embedder.embed_documents(part)
                vectors[start : places.stop] = validate_vectors(answer, len(part), self.model)
            except PartialRefusal as error:
                vectors[start : places.stop] = error.vectors
                refused |= {start + place: reason for place, reason in error.refused.items()}
            except RowRefused as error:
                if not alone:
                    raise  # the caller halves the batch until one text is left
                refused |= dict.fromkeys(places, str(error))
        return vectors, refused


def weighted_mean(vectors: Sequence[np.ndarray], weights: Sequence[int]) -> np.ndarray:
    """float32 of shape (dimension,); of unit length where all vectors are. One alone is its own."""
    if len(vectors) == 1:
        return vectors[0]
    stacked = np.stack(vectors).astype(np.float64)
    mean = np.average(stacked, axis=0, weights=weights)
    if (abs(np.linalg.norm(stacked, axis=1) - 1) < UNIT_TOLERANCE).all():
        mean /= max(float(np.linalg.norm(mean)), 1e-12)
    return mean.astype(np.float32)
