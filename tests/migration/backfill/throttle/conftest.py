"""A real standby of the tests' server."""

import shutil

import pytest
import sqlalchemy as sa

from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import PORT, Postgres
from tests.conftest import ROLE

_TABLESPACE = sa.text("""
    select pg_tablespace_location(oid) from pg_tablespace where spcname not like 'pg\\_%'
""")


@pytest.fixture
def standby(server, admin, tmp_path):
    """By pg_basebackup, in a data folder of its own. The role of the tests may see it."""
    folders = Folders.at(tmp_path / "standby")
    data = folders.server / "data"
    other = Postgres(folders)
    with admin.connect() as connection:
        [place] = connection.scalars(_TABLESPACE).all() or [None]
    elsewhere = ("-T", f"{place}={folders.server / 'tablespace'}") if place else ()
    other._run(
        "pg_basebackup", "-h", server._folders.sockets, "-p", PORT, "-U", "postgres",
        "-D", data, "-R", "-X", "stream", "-c", "fast", "--no-sync", *elsewhere,
    )  # fmt: skip
    with (data / "postgresql.conf").open("a") as conf:
        conf.write(f"unix_socket_directories = '{folders.sockets}'\nshared_buffers = 16MB\n")
        conf.write("wal_receiver_status_interval = 1s\n")  # so soon is a recovery seen
    other.start()
    with admin.begin() as connection:
        connection.exec_driver_sql(f'grant pg_monitor to "{ROLE}"')
    engine = other.engine()
    yield engine
    engine.dispose()
    with admin.begin() as connection:
        connection.exec_driver_sql(f'revoke pg_monitor from "{ROLE}"')
    other.remove()
    shutil.rmtree(tmp_path / "standby", ignore_errors=True)


@pytest.fixture
def replay(standby):
    """Says pause or resume to the standby."""

    def say(word):
        with standby.connect() as connection:
            connection.execute(sa.text(f"select pg_wal_replay_{word}()"))

    yield say
    say("resume")
