"""The REST protocol of the prediction service: `:predict`, JSON, and Google's error body."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote

import grpc

from tests.stand_ins import http_server

HTTP_STATUSES = {
    grpc.StatusCode.INVALID_ARGUMENT: 400, grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403, grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429, grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503, grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}  # fmt: skip
"""As in google/rpc/code.proto."""

Also = Callable[[str, str, bytes], tuple[int, dict | bytes] | None]


@contextmanager
def serving(
    answer: Callable[[str, list[dict], dict], list[dict]], also: Also | None = None
) -> Iterator[int]:
    """Yields its port. `answer` takes the model's resource name, the instances and parameters;
    `also` a method, a path and a body: None for a request that it does not know."""

    class Predict(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            if not self.answer_also(b""):
                self.respond(404, {})

        def do_POST(self) -> None:
            data = self.rfile.read(int(self.headers["Content-Length"]))
            if self.answer_also(data):
                return None
            body = json.loads(data)
            endpoint, _, verb = unquote(self.path).removeprefix("/v1/").rpartition(":")
            if verb != "predict":  # of the second series, which this stand-in has not
                said = {"code": 404, "message": self.path, "status": "NOT_FOUND"}
                return self.respond(404, {"error": said})
            try:
                parameters = body.get("parameters") or {}
                self.respond(200, {"predictions": answer(endpoint, body["instances"], parameters)})
            except Exception as error:
                status = getattr(error, "status", grpc.StatusCode.INTERNAL)
                code, message = HTTP_STATUSES[status], str(getattr(error, "message", error))
                said = {"code": code, "message": message, "status": status.name}
                self.respond(code, {"error": said})

        def answer_also(self, body: bytes) -> bool:
            if also is None or (found := also(self.command, self.path, body)) is None:
                return False
            self.respond(*found)
            return True

        def respond(self, code: int, body: dict | bytes) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    with http_server.serving(Predict) as address:
        yield int(address.rpartition(":")[2])
