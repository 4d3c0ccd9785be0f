"""A load balancer: new connections go to the revision whose port a file names."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.stand_ins.one_port import pump


@contextmanager
def serving(port_file: Path) -> Iterator[int]:
    """Yields its port. Connections that are there stay with their revision."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    front, _ = listening.accept()
                    threading.Thread(target=connect, args=(front,), daemon=True).start()

        def connect(front: socket.socket) -> None:
            with suppress(OSError):
                back = socket.create_connection(("127.0.0.1", int(port_file.read_text())))
                for end in (front, back):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(back, front), daemon=True).start()
                pump(front, back)
                return
            front.close()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
