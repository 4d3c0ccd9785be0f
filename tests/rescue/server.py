"""The server of the collections: the embedded one, with the settings of the benchmark."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from tests.bench.database import SETTINGS
from tests.conftest import ROLE

READER = "reader"
"""A role that may not write: what a question pays for is forgotten, and the next one is asked as
the first one, too."""
DATABASE = "rescued"


@contextmanager
def serving() -> Iterator[Postgres]:
    """With the database DATABASE."""
    with tempfile.TemporaryDirectory(prefix="rescue ") as folder:
        folders = Folders.at(Path(folder) / "home")
        postgres = Postgres(folders)
        try:
            postgres.start()
            with admin(postgres) as engine, autocommit(engine) as connection:
                for name, value in SETTINGS.items():
                    connection.exec_driver_sql(f"alter system set {name} = '{value}'")
            postgres.stop()
            postgres.start()
            postgres.create(DATABASE, owner=ROLE)
            add_reader(postgres)
            yield postgres
        finally:
            postgres.remove()
            shutil.rmtree(folders.app_sockets, ignore_errors=True)


@contextmanager
def admin(postgres: Postgres, database: str = "postgres") -> Iterator[sa.Engine]:
    """A superuser's engine."""
    engine = postgres.engine(database=database)
    try:
        yield engine
    finally:
        engine.dispose()


def add_reader(postgres: Postgres) -> None:
    with admin(postgres) as engine, autocommit(engine) as connection:
        connection.exec_driver_sql(f"create role {READER} login")
        connection.exec_driver_sql(f"grant pg_read_all_data to {READER}")
