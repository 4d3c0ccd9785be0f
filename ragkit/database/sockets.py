"""Options of the TCP connections to the server."""

import socket
from typing import Any

IDLE_SECONDS, INTERVAL_SECONDS, PROBES = 10, 5, 3
"""A server that vanished without a word, as in a failover, is noticed after 25 seconds."""
_KEEPALIVE = {
    "TCP_KEEPIDLE": IDLE_SECONDS,
    "TCP_KEEPINTVL": INTERVAL_SECONDS,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": 1000 * (IDLE_SECONDS + PROBES * INTERVAL_SECONDS),
}


def tune(connection: Any) -> None:
    """Sets them on a pg8000 connection; one on a Unix socket has none.

    Without TCP_NODELAY, a statement with a vector is sent in two parts, and the second one waits up
    to 40 ms until the server has acknowledged the first.
    """
    sock: socket.socket = connection._usock  # pg8000 has no public name for it
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        if option := getattr(socket, name, None):  # a platform may lack some of them
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
