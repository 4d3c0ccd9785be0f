"""The page of `ragkit judge`: on this machine only, for who has its address.

The address holds a secret. A request with another Host (DNS rebinding) or from another origin is
refused, and nothing is loaded from anywhere else.
"""

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from ragkit.errors import ConfigError

HERE = Path(__file__).parent
SCRIPT, STYLE = HERE / "judge.js", HERE / "judge.css"
FILES = {
    "": (HERE / "judge.html", "text/html"),
    "judge.js": (SCRIPT, "text/javascript"),
    "judge.css": (STYLE, "text/css"),
}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
SOCKET_SECONDS = 10.0
MAX_BYTES = 2_000_000
Handle = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From a message of the page to the state that it shows."""


@contextmanager
def serving(handle: Handle, port: int = 0) -> Iterator[str]:
    """Gives the page's address. Raises ConfigError when the port is taken; 0 takes a free one."""
    token = secrets.token_urlsafe(16)
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), _handler(handle, token))
    except OSError as error:
        raise ConfigError(
            f"cannot open a page at 127.0.0.1:{port}: {error.strerror}; choose another --port"
        ) from None
    server.daemon_threads, server.block_on_close = True, False
    threading.Thread(target=server.serve_forever, daemon=True, name="page").start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/{token}/"
    finally:
        server.shutdown()
        server.server_close()


def _handler(handle: Handle, token: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        timeout = SOCKET_SECONDS
        server: ThreadingHTTPServer

        def do_GET(self) -> None:
            name = self._name()
            if name is None or name not in FILES:
                return self._answer(404, b"not found", "text/plain")
            file, kind = FILES[name]
            self._answer(200, file.read_bytes(), kind)

        def do_POST(self) -> None:
            message = self._message() if self._name() == "" else None
            if message is None:
                return self._answer(404, b"not found", "text/plain")
            state = json.dumps(handle(message)).encode()
            self._answer(200, state, "application/json")

        def _name(self) -> str | None:
            """What is asked for below the secret; None for whoever may not ask."""
            hosts = [f"{name}:{self.server.server_port}" for name in ("127.0.0.1", "localhost")]
            origin = self.headers.get("Origin")
            given, _, name = self.path.lstrip("/").partition("/")
            is_allowed = (
                self.headers.get("Host") in hosts
                and (origin is None or origin in [f"http://{host}" for host in hosts])
                and hmac.compare_digest(given.encode(), token.encode())
            )
            return name if is_allowed else None

        def _message(self) -> Mapping[str, Any] | None:
            length = self.headers.get("Content-Length", "")
            is_json = self.headers.get_content_type() == "application/json"
            if not is_json or not length.isdecimal() or int(length) > MAX_BYTES:
                return None
            try:
                message = json.loads(self.rfile.read(int(length)))
            except (ValueError, RecursionError):
                return None
            return message if isinstance(message, dict) else None

        def _answer(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            for name, value in HEADERS.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The address is a secret: it is logged nowhere."""

        def version_string(self) -> str:
            return "ragkit"

    return Handler
