"""How many requests are with the model at once: fewer when it is busy, then more again.

Additive increase, multiplicative decrease, as TCP does (RFC 5681).
"""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from ragkit.embedding.embedder import Embedder
from ragkit.errors import ModelBusy, Stopped

REST_SECONDS = 0.1
"""How soon a slot is seen to have rested."""
CALM_SECONDS = 1.0
"""Answers to requests that left together count as one."""


class InFlight:
    """`limit` requests at most; `allowed` now, of which `running` are with the model. While `held`,
    none starts. At a `pace` below 1, a slot rests after each request, so that it takes that share
    of the time only."""

    def __init__(self, limit: int):
        self.limit = self.allowed = limit
        self.running, self.held, self.pace = 0, False, 1.0
        self._asleep, self._answered, self._lowered_at = 0, 0, -CALM_SECONDS
        self._resting: list[float] = []
        self._closed = False
        self._changed = threading.Condition()
        self._slept = threading.local()

    @property
    def waits(self) -> bool:
        """Whether it is a person, or the quota that all workers share, who keeps requests from the
        model: none is with it."""
        is_kept = self.pace < 1 or self._asleep > 0
        return self.held or (is_kept and self.running <= self._asleep)

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits until one more request may run. Raises Stopped when none may any more."""
        with self._changed:
            while not self._has_room():
                self._changed.wait(REST_SECONDS if self._resting else None)
            self.running += 1
        start, self._slept.seconds = time.monotonic(), 0.0
        try:
            yield
        finally:
            with self._changed:
                self.running -= 1
                if self.pace < 1:
                    end = time.monotonic()
                    self._resting.append(end + (end - start) * (1 / self.pace - 1))
                self._changed.notify_all()

    def sleep(self, seconds: float) -> bool:
        """For a request in its slot that waits for the quota, and has not left. True when it was
        held meanwhile, so that its time has gone by. Raises as `slot`."""
        start, was_held = time.monotonic(), False
        end = start + seconds
        with self._changed:
            self._asleep += 1
            try:
                while self.held or (not was_held and time.monotonic() < end):
                    self._require_open()
                    was_held = was_held or self.held
                    self._changed.wait(None if self.held else end - time.monotonic())
                self._require_open()
            finally:
                self._asleep -= 1
                self._slept.seconds = self.slept() + time.monotonic() - start
        return was_held

    def slept(self) -> float:
        """For how long this thread has slept in its slot, in seconds."""
        return getattr(self._slept, "seconds", 0.0)

    def _require_open(self) -> None:
        if self._closed:
            raise Stopped("no further request")

    def _has_room(self) -> bool:
        self._require_open()
        now = time.monotonic()
        self._resting = [until for until in self._resting if until > now and self.pace < 1]
        return not self.held and self.running + len(self._resting) < self.allowed

    def steer(self, limit: int, pace: float, held: bool) -> None:
        """As Steered."""
        with self._changed:
            if limit != self.limit:
                self.limit = self.allowed = limit
            self.pace, self.held = pace, held
            self._changed.notify_all()

    def close(self) -> None:
        """Requests that wait for a slot are given up."""
        with self._changed:
            self._closed = True
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
