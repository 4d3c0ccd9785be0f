"""Readers and a writer that use the app as its users do, through the framework's own API."""

import random
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.frameworks.oracle import WORDS, K, Oracle, text_of
from tests.frameworks.service import Service

ROWS, QUIET = 400, 300
READ_PAUSE, WRITE_PAUSE = 0.03, 0.08


@dataclass
class Traffic:
    """`services` are the revisions that get requests now. `texts`: those that rows must have, by
    key, of the rows that are written to."""

    requests: int = 0
    writes: int = 0
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    paused_ms: float = 0.0
    services: list[Service] = field(default_factory=list)
    quiet: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def fill(self, service: Service) -> None:
        """The rows that are there before anything begins."""
        chosen = random.Random(1)
        rows = [(str(uuid.UUID(int=n + 1)), text_of(n, chosen)) for n in range(ROWS)]
        for start in range(0, ROWS, 100):
            service.write("insert", rows[start : start + 100])
        self.quiet, self.texts = dict(rows[:QUIET]), dict(rows[QUIET:])

    @contextmanager
    def flowing(self) -> Iterator[None]:
        stop = threading.Event()
        oracle = Oracle([*self.quiet.values()])
        oracle.sent.update(self.texts.values())
        with ThreadPoolExecutor(2) as pool:
            parts = [pool.submit(part, stop, oracle) for part in (self._read, self._write)]
            try:
                yield
            finally:
                stop.set()
        for part in parts:
            part.result()  # one that ended early has asked nothing

    @contextmanager
    def paused(self) -> Iterator[None]:
        """No request is on the way meanwhile: as a load balancer holds them during a restart."""
        with self._reading, self._writing:
            start = time.monotonic()
            yield
            self.paused_ms += (time.monotonic() - start) * 1000

    def __post_init__(self) -> None:
        self._reading, self._writing = threading.Lock(), threading.Lock()

    def serve_by(self, *services: Service) -> None:
        """From now on; requests that are on the way to others end first."""
        with self._reading, self._writing:
            self.services = list(services)

    def _read(self, stop: threading.Event, oracle: Oracle) -> None:
        chosen = random.Random(2)
        while not stop.wait(READ_PAUSE):
            with self._reading:
                service = chosen.choice(self.services)
                question = " ".join(chosen.sample(WORDS, 4))
                self.requests += 1
                try:
                    answer = service.search(question, K)
                except (httpx.HTTPError, RuntimeError) as error:
                    self.failures.append(f"search by {service.model}: {error}")
                    continue
            if not oracle.is_right(service.model, question, answer):
                self.mixed.append(f"{service.model} of {question!r}: {answer}")

    def _write(self, stop: threading.Event, oracle: Oracle) -> None:
        chosen, number = random.Random(3), ROWS
        while not stop.wait(WRITE_PAUSE):
            number += 1
            verb = chosen.choice(("insert", "update", "upsert", "upsert", "delete"))
            key = chosen.choice([*self.texts])
            if verb == "insert" or (verb == "upsert" and number % 2):
                key = str(uuid.UUID(int=number + 1))
            oracle.sent.add(text := text_of(number, chosen))
            self._send(chosen, verb, key, text)

    def _send(self, chosen: random.Random, verb: str, key: str, text: str) -> None:
        with self._writing:
            service = chosen.choice(self.services)
            self.writes += 1
            try:
                service.write(verb, [(key, text)])
            except (httpx.HTTPError, RuntimeError) as error:
                self.failures.append(f"{verb} by {service.model}: {error}")
                return
            if verb == "delete":
                del self.texts[key]
            else:
                self.texts[key] = text

    def expected(self) -> Sequence[str]:
        """The texts of all rows, sorted."""
        return sorted([*self.quiet.values(), *self.texts.values()])
