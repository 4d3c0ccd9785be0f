"""A TCP proxy in front of a server's unix socket that can fall silent, as after a failover.

Silent, it closes nothing and answers nothing: on the connections that there are, and on new ones.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class SilentProxy:
    """`address` is (host, port). While `talking` is clear, no byte is passed on."""

    def __init__(self, socket_path: Path):
        self._socket_path = str(socket_path)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = self._listening.getsockname()
        self.talking = threading.Event()
        self.talking.set()
        self._open: set[socket.socket] = {self._listening}
        threading.Thread(target=self._accept, daemon=True).start()

    def lead_to(self, socket_path: Path) -> None:
        """New connections go to another server, as after a failover."""
        self._socket_path = str(socket_path)

    def drop(self) -> None:
        """Closes the connections that there are."""
        for end in self._open - {self._listening}:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        self._open = {self._listening}

    def close(self) -> None:
        self.talking.set()
        self.drop()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                front, _ = self._listening.accept()
                threading.Thread(target=self._connect, args=(front,), daemon=True).start()

    def _connect(self, front: socket.socket) -> None:
        self._open.add(front)
        front.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # as PostgreSQL does
        self.talking.wait()
        back = socket.socket(socket.AF_UNIX)
        self._open.add(back)
        with suppress(OSError):
            back.connect(self._socket_path)
            for ends in ((front, back), (back, front)):
                threading.Thread(target=self._pump, args=ends, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self.talking.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


@contextmanager
def serving(socket_path: Path) -> Iterator[SilentProxy]:
    proxy = SilentProxy(socket_path)
    try:
        yield proxy
    finally:
        proxy.close()
