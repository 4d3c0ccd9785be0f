"""Embedders of known speed, as a paid service would be: so long a request, so many served at once.

`limit_seconds` is what the best client needs for a number of texts.
"""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from ragkit.embedding.catalogue import Model
from tests.bench import rows

SERVED_AT_ONCE = 8


@dataclass(frozen=True)
class Speed:
    """`seconds` for each request of at most `texts` texts."""

    seconds: float
    texts: int

    def limit_seconds(self, count: int) -> float:
        """For `count` texts, with all that is served at once in flight all the time."""
        return math.ceil(math.ceil(count / self.texts) / SERVED_AT_ONCE) * self.seconds


INSTANT, FAST, SLOW = Speed(0.0, 250), Speed(0.05, 250), Speed(0.3, 100)


class KnownSpeed:
    """An Embedder. `requests` and `busy_seconds` count what was served."""

    def __init__(self, model: Model, speed: Speed):
        self.model = with_limits(model, speed)
        self._speed, self._served = speed, threading.BoundedSemaphore(SERVED_AT_ONCE)
        self._lock, self.requests, self.busy_seconds = threading.Lock(), 0, 0.0

    def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        for _ in range(0, len(texts), self._speed.texts):
            with self._served:
                time.sleep(self._speed.seconds)
            with self._lock:
                self.requests += 1
                self.busy_seconds += self._speed.seconds
        return rows.new_vectors(texts, self.model.dimension)

    def embed_query(self, text: str) -> np.ndarray:
        return self.embed_documents([text])[0]


def with_limits(model: Model, speed: Speed) -> Model:
    """The catalogue's entry with this service's limits: no quota, and no limit on tokens."""
    in_flight = {f.name for f in fields(Model)} & {"in_flight"}
    return replace(
        model, max_texts=speed.texts, max_tokens=None, requests_per_minute=None,
        tokens_per_minute=None, **dict.fromkeys(in_flight, SERVED_AT_ONCE),
    )  # fmt: skip
