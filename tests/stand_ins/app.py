"""An app of somebody else: a model at /healthz, one row for every question."""

import json
from contextlib import AbstractContextManager
from http.server import BaseHTTPRequestHandler

from tests.stand_ins import http_server


def serving(model: str) -> AbstractContextManager[str]:
    """Yields its address."""
    return http_server.serving(_handler(model))


def _handler(model: str) -> type[BaseHTTPRequestHandler]:
    class App(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer({"model": model})

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({"results": [{"name": "A", "description": "B"}]})

        def _answer(self, body: dict) -> None:
            content = json.dumps(body).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    return App
