"""One port for REST and gRPC, as Google's servers have it: HTTP/2 begins with words of its own."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

HTTP_2 = b"PRI"


@contextmanager
def serving(rest_port: int, grpc_port: int) -> Iterator[int]:
    """Yields the port; each connection is passed on to one of the two."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            with suppress(OSError):
                while True:
                    front, _ = listening.accept()
                    threading.Thread(target=connect, args=(front,), daemon=True).start()

        def connect(front: socket.socket) -> None:
            with suppress(OSError):
                first = front.recv(len(HTTP_2), socket.MSG_PEEK | socket.MSG_WAITALL)
                port = grpc_port if first == HTTP_2 else rest_port
                back = socket.create_connection(("127.0.0.1", port))
                for end in (front, back):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=pump, args=(back, front), daemon=True).start()
                pump(front, back)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(2**20):
            target.sendall(data)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
