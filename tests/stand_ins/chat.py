"""A service with OpenAI's /v1/chat/completions on loopback, with the faults that one has."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.stand_ins import http_server

KEY = "sk-stand-in"
MODEL = "judge-1"
SLEEP_SECONDS = 5.0


def prefer_longer(data: dict) -> str:
    """The list with the longer texts, in one word."""
    left, right = (sum(map(len, data[side])) for side in ("left", "right"))
    return "equal" if left == right else "left" if left > right else "right"


@dataclass
class Chat:
    """`answer` says what the model says of a question with its lists. `faults` are taken first, one
    a request: a status, or "hang", "empty", "broken" or "dribble". `asked` are the bodies."""

    address: str = ""
    answer: Callable[[dict], str] = prefer_longer
    faults: list[int | str] = field(default_factory=list)
    retry_after: str = ""
    asked: list[dict] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)


@contextmanager
def serving(**settings: object) -> Iterator[Chat]:
    """Yields it with its base address."""
    chat = Chat(**settings)

    class Completions(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            chat.asked.append(body)
            fault = chat.faults.pop(0) if chat.faults else None
            if self.path != "/v1/chat/completions" or body["model"] != MODEL:
                return self._refuse(404)
            if self.headers.get("Authorization") != f"Bearer {KEY}":
                return self._refuse(401)
            if isinstance(fault, int):
                return self._refuse(fault)
            if fault == "hang":
                chat.stop.wait(SLEEP_SECONDS)
                return None
            if fault == "dribble":
                return self._dribble()
            if fault == "broken":
                return self._send(200, b'{"choices": [{"mess')
            data = json.loads(body["messages"][-1]["content"])
            message = {"role": "assistant", "content": chat.answer(data)}
            choices = [] if fault == "empty" else [{"index": 0, "message": message}]
            said = {"object": "chat.completion", "model": MODEL, "choices": choices}
            return self._send(200, json.dumps(said).encode())

        def _refuse(self, status: int) -> None:
            given = self.headers.get("Authorization")
            self._send(status, json.dumps({"error": {"message": f"no: {given}"}}).encode())

        def _send(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if status == 429 and chat.retry_after:
                self.send_header("Retry-After", chat.retry_after)
            self.end_headers()
            self.wfile.write(data)

        def _dribble(self) -> None:
            """A byte now and then, so that no read ever times out."""
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            while not chat.stop.wait(0.1):
                self.wfile.write(b" ")

        def log_message(self, *_: object) -> None:
            pass

    with http_server.serving(Completions) as address:
        chat.address = f"{address}/v1"
        try:
            yield chat
        finally:
            chat.stop.set()
