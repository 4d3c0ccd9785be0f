"""How many requests are with the model at once: fewer when it is busy, then more again.

Additive increase, multiplicative decrease, as TCP does (RFC 5681).
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelBusy

CALM_SECONDS = 1.0
"""Answers to requests that left together count as one."""


class InFlight:
    """`limit` requests at most; `allowed` now, of which `running` are with the model."""

    def __init__(self, limit: int):
        self.limit = self.allowed = limit
        self.running = 0
        self._answered, self._lowered_at = 0, -CALM_SECONDS
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits until one more request may run."""
        with self._changed:
            self._changed.wait_for(lambda: self.running < self.allowed)
            self.running += 1
        try:
            yield
        finally:
            with self._changed:
                self.running -= 1
                self._changed.notify_all()

    def busy(self) -> None:
        """The model refused a request for now (429): half as many."""
        with self._changed:
            if time.monotonic() - self._lowered_at >= CALM_SECONDS:
                self.allowed = max(1, self.allowed // 2)
                self._answered, self._lowered_at = 0, time.monotonic()

    def answered(self) -> None:
        """One more, after as many answers as may be in flight."""
        with self._changed:
            self._answered += 1
            if self._answered >= self.allowed and self.allowed < self.limit:
                self.allowed, self._answered = self.allowed + 1, 0
                self._changed.notify_all()


class ObservedEmbedder:
    """An embedder of rows that tells `in_flight` how the model took each request."""

    def __init__(self, embedder: Embedder, in_flight: InFlight):
        self.model, self._embedder, self._in_flight = embedder.model, embedder, in_flight

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        try:
            vectors = self._embedder.embed_documents(texts)
        except ModelBusy:
            self._in_flight.busy()
            raise
        self._in_flight.answered()
        return vectors

    def embed_query(self, text: str) -> np.ndarray:
        return self._embedder.embed_query(text)
