"""Shadow mode: a share of the live questions is also asked of another model, after the answer.

What both found is compared and logged as one JSON line; nothing of it reaches the caller.
"""

import json
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ragkit.errors import ConfigError, RagkitError
from ragkit.service import SearchService

EVENT = "ragkit.shadow"
WAITING = 16
"""Questions that may wait; what comes on top is dropped, and counted in the next line."""

Rows = Sequence[Mapping[str, object]]


@dataclass(frozen=True)
class _Asked:
    question: str
    limit: int
    rows: Rows
    ms: float


class Shadow:
    """`share` of the questions go to `service`, one at a time, in a thread of its own: a caller
    never waits for it. `write` takes a line of JSON: model, shadow, k, overlap, ms, shadow_ms,
    dropped, or error; never the question's text."""

    def __init__(
        self,
        service: Callable[[], SearchService],
        model: str,
        shadow: str,
        share: float,
        write: Callable[[str], object] = print,
    ):
        self._service, self._share, self._write = service, share, write
        self._line = {"event": EVENT, "severity": "INFO", "model": model, "shadow": shadow}
        self._waiting: queue.Queue[_Asked] = queue.Queue(WAITING)
        self._dropped, self._counting = 0, threading.Lock()
        threading.Thread(target=self._work, daemon=True, name="shadow").start()

    def offer(self, question: str, limit: int, rows: Rows, ms: float) -> None:
        """What the caller got, and how long it took. Returns at once."""
        if random.random() >= self._share:
            return
        try:
            self._waiting.put_nowait(_Asked(question, limit, rows, ms))
        except queue.Full:
            with self._counting:
                self._dropped += 1

    def _work(self) -> None:
        while True:
            asked, began = self._waiting.get(), time.perf_counter()
            try:
                rows = self._service().search(asked.question, asked.limit)
                took = (time.perf_counter() - began) * 1000
                found: dict = {"overlap": overlap(asked.rows, rows), "shadow_ms": round(took, 2)}
            except RagkitError as error:
                found = {"error": f"{type(error).__name__}: {error}"}
            except Exception as error:  # as in the function: its text may hold a secret
                logging.error("shadow: unexpected %s", type(error).__name__)
                found = {"error": f"unexpected {type(error).__name__}"}
            with self._counting:
                dropped, self._dropped = self._dropped, 0
            found |= {"k": asked.limit, "ms": round(asked.ms, 2), "dropped": dropped}
            self._write(json.dumps({**self._line, **found}))


def overlap(old: Rows, new: Rows) -> float:
    """Share of rows that both have, by what they show; 1.0 where both are empty."""
    left = [dict(row) for row in new]
    shared = 0
    for row in old:
        if dict(row) in left:
            left.remove(dict(row))
            shared += 1
    return round(shared / max(len(old), len(new)), 4) if old or new else 1.0


def share_of(text: str) -> float:
    """From SHADOW_SHARE. Raises ConfigError."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"SHADOW_SHARE is a share of the requests from 0 to 1, got {text!r}")
    return share
