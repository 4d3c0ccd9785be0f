"""A real PgBouncer in transaction mode, with one server connection for all its clients."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import sqlalchemy as sa

from tests.conftest import free_port

PROGRAM = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
SETTINGS = """
[databases]
* = host={host} port={port} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {listen}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 1
ignore_startup_parameters = extra_float_digits
"""


@contextmanager
def serving(database: sa.URL, user: str, folder: Path) -> Iterator[str]:
    """Yields a database URL that leads through it. `user` has no password."""
    listen = free_port()
    socket = Path(str(database.query["unix_sock"]))
    file = folder / "pgbouncer.ini"
    host, port = socket.parent, socket.suffix[1:]
    file.write_text(SETTINGS.format(host=host, port=port, user=user, listen=listen))
    account = ["-u", host.owner()] if os.getuid() == 0 else []
    process = subprocess.Popen([PROGRAM, *account, file], stderr=(folder / "log").open("w"))
    try:
        deadline = time.monotonic() + 10
        while not any(c.laddr.port == listen for c in process_connections(process)):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        name = str(database.database).replace(" ", "%20")
        yield f"postgresql://{user}@127.0.0.1:{listen}/{name}"
    finally:
        process.terminate()
        process.wait(10)


def process_connections(process: subprocess.Popen) -> list:
    return psutil.Process(process.pid).net_connections()
