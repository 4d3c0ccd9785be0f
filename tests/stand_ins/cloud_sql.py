"""A Cloud SQL instance on loopback: the Admin API, and the mTLS proxy on port 3307 in front of the
unix socket of a PostgreSQL server. The real connector talks to both.

    with cloud_sql.serving(socket_path) as instance:
        settings = instance.settings
"""

import datetime
import itertools
import json
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from tempfile import NamedTemporaryFile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from tests.stand_ins import http_server

PORT = 3307
PROJECT, REGION, NAME = "acme", "us-central1", "jss"
_PATH = re.compile(r"/sql/v1beta4/projects/([^/]+)/instances/([^/:]+)[/:](\w+)")
_hosts = itertools.count(2)


class Instance:
    """`certificates` counts the issued client certificates; each is valid for `lifetime`.
    `kinds`: the kinds of addresses that the instance has. `refuse`: an HTTP status that the Admin
    API answers instead. `tokens`: the access tokens of IAM logins. `delay`: seconds before the
    proxy passes on an answer of the server."""

    def __init__(self, socket_path: Path):
        self.socket_path, self.host = socket_path, f"127.77.{os.getpid() % 250}.{next(_hosts)}"
        self.kinds = ("PSC",)
        self.certificates, self.refuse, self.delay = 0, None, 0.0
        self.lifetime = datetime.timedelta(hours=1)
        self.tokens: list[str] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._name = _name(f"{PROJECT}:{NAME}")
        self._ca = self._sign(self._key.public_key(), datetime.timedelta(days=1), ca=True)
        self._open: set[socket.socket] = set()
        self.settings: dict[str, str] = {}

    def connect_settings(self) -> dict:
        addresses = {"PUBLIC": "PRIMARY", "PRIVATE": "PRIVATE"}
        return {
            "region": REGION,
            "databaseVersion": "POSTGRES_15",
            "serverCaCert": {"cert": _pem(self._ca)},
            "ipAddresses": [
                {"type": addresses[kind], "ipAddress": self.host}
                for kind in self.kinds if kind in addresses
            ],
            "pscEnabled": "PSC" in self.kinds,
            "dnsName": self.host,
        }  # fmt: skip

    def ephemeral(self, public_key: str) -> dict:
        self.certificates += 1
        key = serialization.load_pem_public_key(public_key.encode())
        return {"ephemeralCert": {"cert": _pem(self._sign(key, self.lifetime))}}

    def drop(self) -> int:
        """Closes every open connection, as a restart of the proxy does. Returns their number."""
        connections, self._open = self._open, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        return len(connections)

    def proxy(self, listener: socket.socket, context: ssl.SSLContext) -> None:
        """Accepts connections until the listener is closed."""
        while True:
            try:
                plain, _ = listener.accept()
            except OSError:
                return
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._forward, args=(plain, context), daemon=True).start()

    def tls(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.verify_mode = ssl.CERT_REQUIRED  # a client certificate of this instance
        context.load_verify_locations(cadata=_pem(self._ca))
        key = self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )  # fmt: skip
        with NamedTemporaryFile() as chain:
            chain.write(key + _pem(self._ca).encode())
            chain.flush()
            context.load_cert_chain(chain.name)
        return context

    def _forward(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        with (
            suppress(OSError),
            context.wrap_socket(plain, server_side=True) as front,
            socket.socket(socket.AF_UNIX) as back,
        ):
            back.connect(str(self.socket_path))
            self._open.add(front)
            up = threading.Thread(target=_pump, args=(front, back, 0.0), daemon=True)
            up.start()
            _pump(back, front, self.delay)
            up.join()
            self._open.discard(front)

    def _sign(self, key, lifetime: datetime.timedelta, ca: bool = False) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._name if ca else _name("client"))
            .issuer_name(self._name).public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(minutes=1))
            .not_valid_after(now + lifetime)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )  # fmt: skip
        return builder.sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _pump(source: socket.socket, target: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            time.sleep(delay)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def _handler(instance: Instance) -> type[BaseHTTPRequestHandler]:
    class AdminApi(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        do_POST = do_GET

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            match = _PATH.fullmatch(self.path)
            status, answer = 200, {}
            if instance.refuse or not match or match[1] != PROJECT or match[2] != NAME:
                status = instance.refuse or 404
                answer = {"error": {"code": status, "message": "refused by the stand-in"}}
            elif match[3] == "connectSettings":
                answer = instance.connect_settings()
            else:
                instance.tokens += [body["access_token"]] if "access_token" in body else []
                answer = instance.ephemeral(body["public_key"])
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            pass

    return AdminApi


@contextmanager
def serving(socket_path: Path) -> Iterator[Instance]:
    instance = Instance(socket_path)
    listener = socket.create_server((instance.host, PORT))
    with http_server.serving(_handler(instance)) as admin:
        threading.Thread(
            target=instance.proxy, args=(listener, instance.tls()), daemon=True
        ).start()
        instance.settings = {
            "INSTANCE_CONNECTION_NAME": f"{PROJECT}:{REGION}:{NAME}",
            "SQLADMIN_ENDPOINT": admin,
        }
        try:
            yield instance
        finally:
            instance.drop()
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
