"""A real PgBouncer in front of the tests' server, where the program is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ragkit.sandbox.postgres import PORT, Postgres

PROGRAM = shutil.which("pgbouncer") or shutil.which("/usr/sbin/pgbouncer")
BOUNCER_PORT = 6432
CONFIG = """
[databases]
* = host={sockets} port={port}
[pgbouncer]
listen_addr =
unix_socket_dir = {folder}
listen_port = {bouncer_port}
auth_type = trust
auth_file = {folder}/users.txt
pool_mode = {mode}
default_pool_size = {size}
"""


@contextmanager
def serving(server: Postgres, role: str, mode: str, size: int = 8) -> Iterator["Bouncer"]:
    """On a unix socket, under the server's account: PgBouncer refuses to run as root."""
    folders = server._folders
    entry = pwd.getpwnam(folders.account) if folders.account else pwd.getpwuid(os.getuid())
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "users.txt").write_text(f'"{role}" ""\n"postgres" ""\n')
        (folder / "pgbouncer.ini").write_text(
            CONFIG.format(
                sockets=folders.sockets, port=PORT, folder=folder, bouncer_port=BOUNCER_PORT,
                mode=mode, size=size,
            )
        )  # fmt: skip
        for path in (folder, *folder.iterdir()):
            os.chown(path, entry.pw_uid, -1)
        identity = {"user": entry.pw_uid, "extra_groups": []} if folders.account else {}
        process = subprocess.Popen(
            [PROGRAM, "-q", folder / "pgbouncer.ini"], cwd=folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **identity,
        )  # fmt: skip
        socket, deadline = folder / f".s.PGSQL.{BOUNCER_PORT}", time.monotonic() + 10
        try:
            while not socket.exists():
                assert process.poll() is None, process.stderr.read()
                assert time.monotonic() < deadline
                time.sleep(0.02)
            yield Bouncer(socket)
        finally:
            process.kill()
            process.wait()


class Bouncer:
    def __init__(self, socket: Path):
        self._socket = socket

    def url(self, database: sa.URL) -> sa.URL:
        """The way to a database of the server through the pooler."""
        return database.set(query={"unix_sock": str(self._socket)})
