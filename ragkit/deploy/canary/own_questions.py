"""ragkit's own questions: each is asked of both revisions, at addresses of their own.

They are all there is where an app has little traffic, or where nobody here may read its log.
"""

import random
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from ragkit.deploy.canary.comparisons import Comparisons, Seen, Stream
from ragkit.deploy.canary.limits import OVERLAP
from ragkit.retrieval.log.answers import ASKED_BY_RAGKIT
from ragkit.retrieval.shadow import row_overlap

ASKERS = 4
"""Questions at the same time."""
CLIENT_SECONDS = 1200.0
"""After which clients are opened again: an identity token holds for an hour."""
OpenClients = Callable[[], tuple[httpx.Client, httpx.Client]]
FROM = {"User-Agent": ASKED_BY_RAGKIT}
REFUSED = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
"""Nobody here may ask: that tells nothing of the revision."""


@dataclass(frozen=True)
class _Answer:
    ms: float
    rows: list[dict[str, Any]] | None
    """None where it failed."""


class OwnQuestions:
    """`questions` are drawn at random. `open_clients` opens one for the old revision and one for
    the new one; it may raise DeployError."""

    def __init__(self, questions: Sequence[str], open_clients: OpenClients):
        self._questions, self._open = questions, open_clients
        self._clients: tuple[httpx.Client, ...] = ()
        self._opened_at = 0.0
        self._random = random.Random(0)

    def close(self) -> None:
        for client in self._clients:
            client.close()
        self._clients = ()

    def ask(self, count: int, until: float, comparisons: Comparisons, stream: Stream) -> None:
        """`count` questions, or as many as begin before `until`, as time.monotonic tells it.
        Raises DeployError where a revision has no address."""
        if not self._clients or time.monotonic() - self._opened_at > CLIENT_SECONDS:
            self.close()
            self._clients, self._opened_at = self._open(), time.monotonic()
        drawn = [self._random.choice(self._questions) for _ in range(count)]
        with ThreadPoolExecutor(ASKERS) as pool:
            for pair in pool.map(lambda question: self._ask_both(question, until), drawn):
                if pair is not None:
                    _add(comparisons, stream, *pair)

    def _ask_both(self, question: str, until: float) -> tuple[_Answer, _Answer] | None:
        """None after `until`, and where a revision refuses to be asked."""
        if time.monotonic() >= until:
            return None
        order = [0, 1] if self._random.random() < 0.5 else [1, 0]  # the second finds warm caches
        answers = {side: _ask(self._clients[side], question) for side in order}
        old, new = answers[0], answers[1]
        return (old, new) if old and new else None


def _ask(client: httpx.Client, question: str) -> _Answer | None:
    start, rows = time.perf_counter(), None
    try:
        response = client.post("/", json={"name": question}, headers=FROM)
        if response.status_code in REFUSED:
            return None
        if response.status_code == httpx.codes.OK:
            rows = [dict(row) for row in response.json()["results"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        pass
    return _Answer(1000 * (time.perf_counter() - start), rows)


def _add(comparisons: Comparisons, stream: Stream, old: _Answer, new: _Answer) -> None:
    for is_new, answer in ((False, old), (True, new)):
        stream.add(Seen(is_new, answer.rows is None, answer.ms, not answer.rows))
    if old.rows is not None and new.rows is not None:
        comparisons.values[OVERLAP].append(row_overlap(old.rows, new.rows))
