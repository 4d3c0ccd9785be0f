"""A PostgreSQL server with pgvector from an installed wheel, on a unix socket in a 0700 folder.

Whoever can open the socket's folder is trusted; nothing listens on TCP.
"""

import os
import pwd
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil
import sqlalchemy as sa
from sqlalchemy.engine import URL
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from ragkit.database import autocommit
from ragkit.errors import SandboxError
from ragkit.sandbox.folders import Folders

RECOVERY_SECONDS = 8
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
    """One server in one folder. Every verb may be called twice."""

    def __init__(self, folders: Folders):
        self._folders = folders
        self._data = folders.server / "data"
        self._commands = folders.server / "commands.log"
        self.log = folders.server / "postgres.log"

    def running(self) -> bool:
        """By pg_isready: a server that died as a zombie counts as running for pg_ctl."""
        return self._run("pg_isready", "-h", self._socket, "-p", str(PORT), check=False) == 0

    def start(self) -> None:
        """Raises SandboxError with the last lines of the server's log."""
        if self.running():
            if (self._data / "PG_VERSION").exists():
                return
            self._end_orphan()
        if not (self._data / "PG_VERSION").exists():
            self._initialise()
        for attempt in Retrying(
            retry=retry_if_exception_type(SandboxError),  # a killed server's children end first
            wait=wait_fixed(0.5), stop=stop_after_delay(RECOVERY_SECONDS), reraise=True,
        ):  # fmt: skip
            with attempt:
                self._forget_zombie()
                self._run("pg_ctl", "start", "-w", "-s", "-D", self._data, "-l", self.log)

    def stop(self) -> None:
        if (self._data / "postmaster.pid").exists():
            self._run("pg_ctl", "stop", "-w", "-s", "-m", "fast", "-D", self._data, check=False)

    def kill(self) -> None:
        """As the kernel would under memory pressure: SIGKILL, nothing flushed. For fault tests."""
        os.kill(int((self._data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def remove(self) -> None:
        """Stopped, and its folders deleted."""
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
        return sa.create_engine(
            self.url(user, database),
            pool_pre_ping=True,
            connect_args={"application_name": "ragkit"},
        )

    def create(self, database: str, owner: str) -> None:
        """A role, a database it owns, and the extension that only a superuser may create."""
        with autocommit(self.engine()) as admin:
            quote = admin.dialect.identifier_preparer.quote
            roles = sa.text("select 1 from pg_roles where rolname = :name")
            if not admin.scalar(roles, {"name": owner}):
                admin.execute(sa.text(f"create role {quote(owner)} login"))
            databases = sa.text("select 1 from pg_database where datname = :name")
            if not admin.scalar(databases, {"name": database}):
                admin.execute(sa.text(f"create database {quote(database)} owner {quote(owner)}"))
        with self.engine(database=database).begin() as admin:
            admin.execute(sa.text("create extension if not exists vector"))

    @property
    def _socket(self) -> Path:
        return self._folders.sockets

    def _end_orphan(self) -> None:
        """A server whose folder was deleted under it, say with the checkout."""
        orphans = self._children()
        for process in orphans:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(orphans, timeout=RECOVERY_SECONDS)

    def _forget_zombie(self) -> None:
        """A killed server that nobody reaped would hold its lock file for ever.

        The file also guards against children that outlived it and still write: they go first.
        """
        lock = self._data / "postmaster.pid"
        try:
            server = psutil.Process(int(lock.read_text().split()[0]))
        except (FileNotFoundError, psutil.NoSuchProcess):
            return
        if server.status() == psutil.STATUS_ZOMBIE:
            _, alive = psutil.wait_procs(self._children(), timeout=RECOVERY_SECONDS)
            if not alive:
                lock.unlink()

    def _children(self) -> list[psutil.Process]:
        """Processes of the server, which run in the folder of its data."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.cwd() == str(self._data):
                    found.append(process)
        return found

    def _initialise(self) -> None:
        """Made aside and renamed: a kill within initdb leaves nothing that looks like a server."""
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
        """As the server's account, into a log: the server would hold a pipe open for ever."""
        account, identity = self._folders.account, {}
        if account:
            entry = pwd.getpwnam(account)
            identity = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        with self._commands.open("ab") as output:
            code = subprocess.run(
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
