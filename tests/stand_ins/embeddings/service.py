"""What the stand-ins have in common: vectors, tokens, keys, faults."""

import json
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np

from tests.stand_ins import http_server

KEY = "sk-canary-key"
HANG_SECONDS = 5.0
EMPTY = ""
"""A text that no service takes."""


@dataclass(frozen=True)
class Asked:
    """One request, whatever its format: `task` and `dimension` are None where it has none."""

    model: str
    texts: list[str]
    task: str | None = None
    dimension: int | None = None


@dataclass(frozen=True)
class Answered:
    """A request that was answered: when it came, by time.monotonic(), its tokens, its first
    text."""

    at: float
    tokens: int
    text: str


@dataclass
class Service:
    """`faults` are taken first, one a request: a status, or "hang", "dribble", "fewer", "shape",
    "model", "nan", "zeros", "broken", "page", "redirect" (to `leads_to`). `dimension` is what the
    model makes unless fewer are asked for; `statuses` are those that the service has for others.
    `keys` are those that it was sent, `answered` the requests without a fault, as they came."""

    dimension: int
    address: str = ""
    faults: list[int | str] = field(default_factory=list)
    retry_after: str = ""
    leads_to: str = ""
    key: str = KEY
    answers_as: str = ""
    counts: Any = None
    """In place of the tokens."""
    ignores_dimension: bool = False
    statuses: dict[int, int] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def vectors(self, asked: Asked, fault: object) -> list[list[float]]:
        """Unit vectors, as far as they are whole: the same for the same text, whatever prefix."""
        size = self.dimension + (1 if fault == "shape" else 0)
        bare = [text.rpartition("text: ")[2].rpartition("query: ")[2] for text in asked.texts]
        made = [vector(text, size) for text in bare]
        if asked.dimension and not self.ignores_dimension and fault != "shape":
            made = [values[: asked.dimension] for values in made]
        if fault == "nan":
            made[0] = [math.nan] * len(made[0])
        if fault == "zeros":
            made[0] = [0.0] * len(made[0])
        return made[:-1] if fault == "fewer" else made

    def tokens(self, asked: Asked) -> int:
        return sum(map(count_tokens, asked.texts))


def count_tokens(text: str) -> int:
    return len(text.split()) + 2


def vector(text: str, size: int) -> list[float]:
    """By the letters in it: texts with the same letters are near to each other."""
    values = np.full(size, 1e-3)
    for n, letter in enumerate(text.lower()):
        values[(ord(letter) * 7 + n // 4) % size] += 1
    unit: list[float] = (values / np.linalg.norm(values)).tolist()
    return unit


Read = Callable[[str, Mapping[str, Any]], Asked]
Shape = Callable[[Service, Asked, object], Mapping[str, Any]]
Refuse = Callable[[int, str], Mapping[str, Any]]


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    needs_key: bool = True


Also = Callable[[str, str, Message, bytes], Reply | None]


@contextmanager
def serving(
    service: Service,
    read: Read,
    shape: Shape,
    refuse: Refuse,
    key_header: str = "Authorization",
    also: Also | None = None,
) -> Iterator[Service]:
    """Yields it with its base address. `read` takes path and body, `shape` the fault too; `refuse`
    makes the body of an error, which repeats the key, as careless services do. `also` answers
    other requests: None for those that it does not know."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            came_at = time.monotonic()
            sent_body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self._answer_also(sent_body):
                return None
            body = json.loads(sent_body)
            asked = read(self.path, body)
            service.asked.append(asked)
            fault = service.faults.pop(0) if service.faults else None
            sent = (self.headers.get(key_header) or "").removeprefix("Bearer ")
            service.keys.append(sent)
            if service.key and sent != service.key:
                fault = 401
            if EMPTY in asked.texts or any(text.endswith(": ") for text in asked.texts):
                fault = 400
            match fault:
                case int():
                    said = refuse(fault, f"refused {sent}: {asked.texts[0]}")
                    return self._send(service.statuses.get(fault, fault), json.dumps(said).encode())
                case "hang":
                    service.stop.wait(HANG_SECONDS)
                    return None
                case "dribble":
                    return self._dribble()
                case "broken":
                    return self._send(200, b'{"data": [')
                case "page":
                    return self._send(200, b"<html>Ollama is running</html>", "text/html")
                case "redirect":
                    return self._send(307, b"", location=service.leads_to + self.path)
            if fault is None:
                service.answered.append(Answered(came_at, service.tokens(asked), asked.texts[0]))
            return self._send(200, json.dumps(shape(service, asked, fault)).encode())

        def do_GET(self) -> None:
            if not self._answer_also(b""):
                self._send(404, b"{}")

        def _answer_also(self, body: bytes) -> bool:
            if also is None or (found := also(self.command, self.path, self.headers, body)) is None:
                return False
            sent = (self.headers.get(key_header) or "").removeprefix("Bearer ")
            if found.needs_key and service.key and sent != service.key:
                found = Reply(service.statuses.get(401, 401), json.dumps(refuse(401, "")).encode())
            self.send_response(found.status)
            for name, value in {**found.headers, "Content-Length": str(len(found.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found.body)
            return True

        def _send(
            self, status: int, data: bytes, kind: str = "application/json", location: str = ""
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(data)))
            if status == 429 and service.retry_after:
                self.send_header("Retry-After", service.retry_after)
            self.end_headers()
            self.wfile.write(data)

        def _dribble(self) -> None:
            """A byte now and then, so that no read ever times out."""
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not service.stop.wait(0.1):
                self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    with http_server.serving(Handler) as address:
        service.address = address
        try:
            yield service
        finally:
            service.stop.set()
