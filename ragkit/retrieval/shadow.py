"""Shadow mode: a share of the live questions is also sent to another model, after the answer.

The two answers are compared and logged as one JSON line. The caller never sees the shadow.
"""

import json
import logging
import queue
import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ragkit.errors import ConfigError, RagkitError
from ragkit.retrieval.service import SearchService

EVENT = "ragkit.shadow"
QUEUE_SIZE = 16
"""Questions that may wait. Further ones are dropped; the next line counts them."""

Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class _ShadowRequest:
    question: str
    limit: int
    rows: Rows
    ms: float


class Shadow:
    """Sends a `share` of the questions to `service`, one at a time, in a thread of its own.

    `write` takes one line of JSON for each: model, shadow, k, rows, ms, dropped, and overlap,
    shadow_rows and shadow_ms, or error; never the question's text.
    """

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
        self._requests: queue.Queue[_ShadowRequest] = queue.Queue(QUEUE_SIZE)
        self._dropped, self._count_lock = 0, threading.Lock()
        threading.Thread(target=self._work, daemon=True, name="shadow").start()

    def offer(self, question: str, limit: int, rows: Rows, ms: float) -> None:
        """Takes what the caller got and how long it took (ms). Returns at once."""
        if random.random() >= self._share:
            return
        try:
            self._requests.put_nowait(_ShadowRequest(question, limit, rows, ms))
        except queue.Full:
            with self._count_lock:
                self._dropped += 1

    def _work(self) -> None:
        while True:
            request, start = self._requests.get(), time.perf_counter()
            try:
                rows = self._service().search(request.question, request.limit).rows
                shadow_ms = round((time.perf_counter() - start) * 1000, 2)
                result: dict[str, Any] = {
                    "overlap": row_overlap(request.rows, rows), "shadow_ms": shadow_ms,
                    "shadow_rows": len(rows),
                }  # fmt: skip
            except RagkitError as error:
                result = {"error": f"{type(error).__name__}: {error}"}
            except Exception as error:  # as in the function: its text may hold a secret
                logging.error("shadow: unexpected %s", type(error).__name__)
                result = {"error": f"unexpected {type(error).__name__}"}
            with self._count_lock:
                dropped, self._dropped = self._dropped, 0
            result |= {"k": request.limit, "rows": len(request.rows)}
            result |= {"ms": round(request.ms, 2), "dropped": dropped}
            self._write(json.dumps({**self._line, **result}))


def row_overlap(old: Rows, new: Rows) -> float:
    """The share of rows in both answers, compared by what they show; 1.0 when both are empty."""
    if not old and not new:
        return 1.0
    remaining = [dict(row) for row in new]
    shared = 0
    for row in old:
        if dict(row) in remaining:
            remaining.remove(dict(row))
            shared += 1
    return round(shared / max(len(old), len(new)), 4)


def parse_share(text: str) -> float:
    """The value of SHADOW_SHARE. Raises ConfigError."""
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ConfigError(f"SHADOW_SHARE is a share of the requests from 0 to 1, got {text!r}")
    return share
