"""A PostgreSQL server with pgvector from an installed wheel, on a unix socket in a 0700 folder.

Whoever can open the socket's folder is trusted; nothing listens on TCP.
"""

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import URL

from ragkit import retry
from ragkit.database.connecting import explain_failed_connects
from ragkit.database.engine import autocommit
from ragkit.database.identifiers import quote_identifier
from ragkit.errors import SandboxError
from ragkit.sandbox.folders import Folders

CHILDREN_SECONDS = 8.0
"""How long the children of a killed server may take to end."""
PORT = 5432
"""Names the socket's file; no TCP port is opened."""
SETTINGS = """
listen_addresses = ''
unix_socket_directories = '{socket}'
unix_socket_permissions = 0700
port = {port}
shared_buffers = 128MB
max_connections = 60
fsync = on
log_line_prefix = '%m [%p] '
"""


class Postgres:
    """One server in one folder. Every method may be called twice."""

    def __init__(self, folders: Folders):
        self._folders = folders
        self._data = folders.server / "data"
        self._commands = folders.server / "commands.log"
        self.log = folders.server / "postgres.log"

    def running(self) -> bool:
        """By pg_isready: pg_ctl takes a zombie for a running server."""
        return self._run("pg_isready", "-h", self._socket, "-p", str(PORT), check=False) == 0

    def start(self) -> None:
        """Raises SandboxError with the last lines of the server's log."""
        if self.running():
            if (self._data / "PG_VERSION").exists():
                return
            self._end_orphan()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        for attempt in retry.server_start():
            with attempt:
                self._forget_zombie()
                self._run("pg_ctl", "start", "-w", "-s", "-D", self._data, "-l", self.log)

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", self._data, check=False)

    def kill(self) -> None:
        """SIGKILL, nothing flushed, as the kernel does when memory runs out. For fault tests."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def remove(self) -> None:
        """Stops the server and deletes its folders."""
        self.stop()
        for folder in (self._folders.server, self._folders.sockets):
            shutil.rmtree(folder, ignore_errors=True)

    def url(self, user: str = "postgres", database: str = "postgres") -> URL:
        return URL.create(
            "postgresql+pg8000",
            username=user,
            database=database,
            query={"unix_sock": f"{self._socket}/.s.PGSQL.{PORT}"},
        )

    def engine(self, user: str = "postgres", database: str = "postgres") -> sa.Engine:
        engine = sa.create_engine(
            self.url(user, database),
            pool_pre_ping=True,
            connect_args={"application_name": "ragkit", "ssl_context": False},
        )
        explain_failed_connects(engine, "start the sandbox: ragkit sandbox up")
        return engine

    def create(self, database: str, owner: str) -> None:
        """Makes a role, a database it owns, and the extension that only a superuser may create."""
        with self._admin() as engine, autocommit(engine) as admin:
            roles = sa.text("select 1 from pg_roles where rolname = :name")
            if not admin.scalar(roles, {"name": owner}):
                admin.exec_driver_sql(f"create role {quote_identifier(owner)} login")
            databases = sa.text("select 1 from pg_database where datname = :name")
            if not admin.scalar(databases, {"name": database}):
                admin.exec_driver_sql(
                    f"create database {quote_identifier(database)} owner {quote_identifier(owner)}"
                )
        with self._admin(database) as engine, engine.begin() as admin:
            admin.execute(sa.text("create extension if not exists vector"))

    @contextmanager
    def _admin(self, database: str = "postgres") -> Iterator[sa.Engine]:
        """A superuser's engine that leaves no connection open."""
        engine = self.engine(database=database)
        try:
            yield engine
        finally:
            engine.dispose()

    @property
    def _socket(self) -> Path:
        return self._folders.sockets

    def _end_orphan(self) -> None:
        """Ends a server whose folder was deleted under it, for example with the checkout."""
        orphans = self._children()
        for process in orphans:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(orphans, timeout=CHILDREN_SECONDS)

    def _forget_zombie(self) -> None:
        """Removes the lock file of a killed server that nobody has reaped.

        The file also guards against children that outlived it and still write: they end first.
        """
        lock = self._data / "postmaster.pid"
        try:
            server = psutil.Process(int(lock.read_text().split()[0]))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        if server.status() == psutil.STATUS_ZOMBIE:
            _, alive = psutil.wait_procs(self._children(), timeout=CHILDREN_SECONDS)
            if not alive:
                lock.unlink()

    def _children(self) -> list[psutil.Process]:
        """The server's processes: they run in its data folder."""
        children = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self._data):
                    children.append(process)
        return children

    def _initialise(self) -> None:
        """Made aside and renamed, so that a kill within initdb leaves no half-made server."""
        unfinished = self._data.with_name("unfinished")
        if unfinished.exists():
            shutil.rmtree(unfinished)
        self._run(
            "initdb", "-D", unfinished, "-U", "postgres", "-A", "trust", "-E", "UTF8",
            "--no-instructions", "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip
        conf = SETTINGS.format(socket=str(self._socket).replace("'", "''"), port=PORT)
        with (unfinished / "postgresql.conf").open("a") as file:
            file.write(conf)
        unfinished.rename(self._data)

    def _run(self, program: str, *arguments: object, check: bool = True) -> int:
        """Runs as the server's account. Output goes to a file: a server keeps a pipe open."""
        account, identity = self._folders.account, dict[str, Any]()
        if account:
            entry = pwd.getpwnam(account)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with self._commands.open("ab") as output:
            code: int = subprocess.run(
                [str(self._folders.binaries / program), *map(str, arguments)],
                check=False,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._folders.server,
                env={**os.environ, "LC_ALL": "C.UTF-8"},
                **identity,
            ).returncode
        if check and code != 0:
            raise SandboxError(f"{program} failed (exit {code}): {self._last_lines()}")
        return code

    def _last_lines(self) -> str:
        logs = [log.read_text().splitlines() for log in (self._commands, self.log) if log.exists()]
        return " / ".join(line for lines in logs for line in lines[-2:]) or "no log"
