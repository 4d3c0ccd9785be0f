"""The connections' sockets: options of TCP, and a deadline for each answer."""

import socket
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import pg8000
import sqlalchemy as sa
from pg8000 import core

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 10, 5, 3
"""A server that vanished without a word, as in a failover, is noticed after 25 seconds."""
_KEEPALIVE = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": 1000 * (IDLE_SECONDS + PROBES * INTERVAL_SECONDS),
}

P = ParamSpec("P")
T = TypeVar("T")


def tune(connection: Any, read_seconds: float | None) -> None:
    """Prepares a pg8000 connection; one on a Unix socket has no options of TCP.

    A server that sends nothing for `read_seconds` while an answer is due has failed; None is no
    limit. Without TCP_NODELAY, a statement with a vector is sent in two parts, and the second one
    waits up to 40 ms until the server has acknowledged the first.
    """
    sock: socket.socket = connection._usock  # pg8000 has no public name for it
    sock.settimeout(read_seconds)
    connection._sock = _Stream(connection._sock)
    _raise_last_words(connection)
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # a platform may lack some of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


class HungUp(pg8000.InterfaceError):  # type: ignore[misc]  # the package has no types
    """The server's last words, by their fields: it hangs up behind a FATAL error."""

    def __str__(self) -> str:
        return "network error"  # by which SQLAlchemy knows a broken connection


def _raise_last_words(connection: Any) -> None:
    """pg8000 reads on after a FATAL error, and then knows a network error only."""
    own = connection.message_types[core.ERROR_RESPONSE]

    def handle(data: bytes, context: Any) -> None:
        own(data, context)
        fields = context.error.args[0]
        if fields.get("V", fields["S"]) == "FATAL":
            raise HungUp(fields)

    connection.message_types[core.ERROR_RESPONSE] = handle


def wait_without_limit(connection: sa.Connection) -> None:
    """For a statement that takes as long as it takes. A server that vanished is still noticed."""
    driver: Any = connection.connection.dbapi_connection
    driver._usock.settimeout(None)


def answer_within(engine: sa.Engine, seconds: float) -> None:
    """As read_seconds of `tune`, for the connections that `engine` makes from now on."""
    sa.event.listen(engine, "connect", lambda made, _: made._usock.settimeout(seconds))


class _Stream:
    """pg8000's stream. pg8000 makes an InterfaceError of an operating system's error, by which
    SQLAlchemy knows a broken connection, but not where it waits for an answer to begin."""

    def __init__(self, stream: Any):
        self.read = _as_driver_error(stream.read)
        self.write, self.flush = stream.write, stream.flush


def _as_driver_error(call: Callable[P, T]) -> Callable[P, T]:
    @wraps(call)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return call(*args, **kwargs)
        except OSError as error:
            raise pg8000.InterfaceError("network error") from error

    return wrapped
