"""A real replication client, seen by a role that may look and by one that may not."""

import subprocess
import time

import pytest
import sqlalchemy as sa

from ragkit.database.standbys import read_standbys
from tests.conftest import ROLE


@pytest.fixture
def standby(server, tmp_path):
    """pg_receivewal, which replicates as a standby does."""
    folders = server._folders
    program = folders.binaries / "pg_receivewal"
    process = subprocess.Popen(
        [program, "-h", folders.sockets, "-p", "5432", "-U", "postgres", "-D", tmp_path, "-n"],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    with server.engine().connect() as admin:
        while not admin.scalar(sa.text("select count(*) from pg_stat_replication")):
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            admin.rollback()
            time.sleep(0.05)
    yield
    process.kill()
    process.wait()


def seen_by(engine):
    with engine.connect() as connection:
        return read_standbys(connection)


def test_without_a_standby_there_is_none(engine):
    standbys = seen_by(engine)
    assert (standbys.hidden, standbys.lag_seconds) == (standbys.count, 0.0)


def test_a_standby_that_a_role_may_not_see_is_hidden_not_absent(standby, engine, server):
    hidden = seen_by(engine)
    assert (hidden.count, hidden.hidden) == (1, 1)
    name = engine.url.username
    with server.engine().begin() as admin:
        admin.exec_driver_sql(f'grant pg_monitor to "{name}"')
    try:
        seen = seen_by(engine)
        assert (seen.count, seen.hidden) == (1, 0)
    finally:
        with server.engine().begin() as admin:
            admin.exec_driver_sql(f'revoke pg_monitor from "{ROLE}"')
