"""A real pgbouncer in front of a server's Unix socket, as a managed PostgreSQL has one.

It refuses to run as root, and the server's socket is open to the server's account only: it runs
as the owner of the socket's folder.
"""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.conftest import free_port

PROGRAM = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
PASSWORD = "pooled"
START_SECONDS, STOP_SECONDS = 10, 10
SETTINGS = """
[databases]
* = host={socket} port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 200
query_wait_timeout = 20
logfile = {folder}/pgbouncer.log
"""


@contextmanager
def serving(server: sa.URL, size: int, mode: str = "transaction") -> Iterator[sa.URL]:
    """The address of `server`'s database through the pooler, with `size` sessions at the server
    for each role and database. A client waits 20 s for one of them."""
    socket, port = Path(str(server.query["unix_sock"])).parent, free_port()
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as folder:
        place, identity = Path(folder), dict[str, Any]()
        names = {"socket": socket, "port": port, "folder": folder, "mode": mode, "size": size}
        (place / "users.txt").write_text(f'"{server.username}" "{PASSWORD}"\n')
        (place / "pgbouncer.ini").write_text(SETTINGS.format(**names))
        if os.getuid() == 0:
            owner = pwd.getpwuid(socket.stat().st_uid)
            identity = {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
            for file in (place, *place.iterdir()):
                os.chown(file, owner.pw_uid, owner.pw_gid)
        process = subprocess.Popen(
            [PROGRAM, "-q", place / "pgbouncer.ini"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            **identity,
        )  # fmt: skip
        try:
            _wait_for(process, place / "pgbouncer.log")
            address = {"host": "127.0.0.1", "port": port, "password": PASSWORD}
            yield server.set(query={}, **address)
        finally:
            process.send_signal(signal.SIGINT)  # an orderly shutdown
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for(process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not log.exists() or "process up" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(
                f"pgbouncer did not start: {log.read_text() if log.exists() else ''}"
            )
        time.sleep(0.02)
