"""A server with production-like settings, its template tables, and a fresh clone for each run."""

import itertools
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.identifiers import quote_identifier
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import PORT, Postgres
from tests.bench.peers.environments import CannotRun
from tests.bench.tables import TableShape, fill, index

SETTINGS = {
    "shared_buffers": "512MB", "max_wal_size": "4GB", "checkpoint_timeout": "15min",
    "maintenance_work_mem": "512MB", "max_connections": "80",
}  # fmt: skip
"""Beside the sandbox's. fsync, synchronous_commit, full_page_writes and autovacuum are on."""
STATISTICS_SECONDS = 5.0
_UPDATES = sa.text("""
    select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'documents'
""")


@dataclass(frozen=True)
class Clone:
    """A database of one run."""

    name: str
    socket: Path
    engine: sa.Engine

    def hot_share(self, expected: int) -> float | None:
        """HOT updates among all updates of the table; None without any. Waits for the statistics
        of `expected` updates."""
        deadline = time.monotonic() + STATISTICS_SECONDS
        while True:
            with self.engine.connect() as connection:
                updates, hot = connection.execute(_UPDATES).one()
            if updates >= expected or time.monotonic() > deadline:
                return hot / updates if updates else None
            time.sleep(0.1)


class BenchServer:
    """The embedded PostgreSQL in a folder of its own; use it as a context. `settings` come after
    SETTINGS."""

    def __init__(self, folder: str, **settings: str):
        self._settings = SETTINGS | settings
        folders = Folders.at(Path(folder) / "home")
        self.programs, self.socket = folders.binaries, folders.sockets / f".s.PGSQL.{PORT}"
        self._data, self._app_sockets = folders.server / "data", folders.app_sockets
        self._postgres, self._numbers = Postgres(folders), itertools.count()

    def __enter__(self) -> "BenchServer":
        try:
            self._postgres.start()
            self._admin = self._postgres.engine()
            with autocommit(self._admin) as admin:
                for name, value in self._settings.items():
                    admin.exec_driver_sql(f"alter system set {name} = '{value}'")
            self._admin.dispose()
            self._postgres.stop()
            self._postgres.start()
        except BaseException:
            self._remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.dispose()
        self._remove()

    def _remove(self) -> None:
        self._postgres.remove()
        shutil.rmtree(self._app_sockets, ignore_errors=True)

    def cpu_seconds(self) -> float:
        """Of the server and all its backends so far."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        server = psutil.Process(pid)
        times = [server.cpu_times()]
        total = times[0].children_user + times[0].children_system
        for process in server.children():
            try:
                times.append(process.cpu_times())
            except psutil.NoSuchProcess:
                continue
        return total + sum(t.user + t.system for t in times)

    @contextmanager
    def clone(self, shape: TableShape) -> Iterator[Clone]:
        """A fresh copy of the template, which is made when it is first asked for."""
        self.build(shape)
        name = f"run {next(self._numbers)}"
        self._copy(shape.database, name)
        engine = self._postgres.engine(database=name)
        try:
            yield Clone(name, self.socket, engine)
        finally:
            engine.dispose()
            self._run(f"drop database {quote_identifier(name)} with (force)")

    def build(self, shape: TableShape) -> None:
        """The template, unless it is there. Raises CannotRun when the disk is too small for it."""
        with self._admin.connect() as connection:
            known = sa.text("select 1 from pg_database where datname = :name")
            if connection.scalar(known, {"name": shape.database}):
                return
        if shutil.disk_usage(self._data).free < shape.disk_bytes:
            raise CannotRun(f"{shape.rows:,} rows need {shape.disk_bytes / 1e9:.0f} GB of disk")
        unfinished = f"{shape.database} unfinished"
        if shape.hnsw:
            without = replace(shape, hnsw=False)
            self.build(without)
            self._copy(without.database, unfinished)
        else:
            self._postgres.create(unfinished, "postgres")
        engine = self._postgres.engine(database=unfinished)
        index(engine) if shape.hnsw else fill(engine, shape)
        with autocommit(engine) as connection:
            connection.exec_driver_sql("vacuum (analyze, freeze) documents")
        engine.dispose()
        new = quote_identifier(shape.database)
        self._run(f"alter database {quote_identifier(unfinished)} rename to {new}")

    def _copy(self, template: str, name: str) -> None:
        source, target = quote_identifier(template), quote_identifier(name)
        self._run(f"create database {target} template {source} strategy file_copy")

    def _run(self, statement: str) -> None:
        with autocommit(self._admin) as admin:
            admin.exec_driver_sql(statement)
