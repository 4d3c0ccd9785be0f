"""The key file of a service account, and a loopback server that issues or refuses its tokens."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.stand_ins import http_server

TOKEN = "access-token-canary"


@cache
def _key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(*pem, serialization.NoEncryption()).decode()


@contextmanager
def serving(file: Path, refuse: bool = False) -> Iterator[dict[str, str]]:
    """Writes the key to `file`. Yields the environment variable that names it.

    With `refuse`, the server answers as Google does for a deleted account.
    """
    status = 400 if refuse else 200
    body = {"error": "invalid_grant"} if refuse else {"access_token": TOKEN, "expires_in": 3600}

    class Tokens(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, *_: object) -> None:
            pass

    with http_server.serving(Tokens) as address:
        key = {
            "type": "service_account", "project_id": "acme", "client_email": "rag@acme.iam",
            "private_key_id": "1", "private_key": _key(), "token_uri": f"{address}/token",
        }  # fmt: skip
        file.write_text(json.dumps(key))
        yield {"GOOGLE_APPLICATION_CREDENTIALS": str(file)}
