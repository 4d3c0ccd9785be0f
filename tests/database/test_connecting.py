"""Why a connection failed, by a real server that asks for a password, and by none at all."""

import socket
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.database.engine import engine_from_env, parse_url
from ragkit.errors import ConfigError, DatabaseUnavailable
from tests.conftest import free_port
from tests.database.conftest import CANARY

ROLE = "with password"


@pytest.fixture(scope="module", params=["scram-sha-256", "md5", "password"])
def asking(request, server):
    """The server asks this role for a password, in each of the ways that there are."""
    with server.engine().begin() as admin:
        hba = Path(admin.scalar(sa.text("show hba_file")))
        before = hba.read_text()
        hba.write_text(f'local all "{ROLE}" {request.param}\n{before}')
        encryption = "md5" if request.param == "md5" else "scram-sha-256"
        admin.exec_driver_sql(f"set password_encryption = '{encryption}'")
        admin.exec_driver_sql(f"create role \"{ROLE}\" login password '{CANARY}'")
        admin.exec_driver_sql("select pg_reload_conf()")
    yield
    hba.write_text(before)
    with server.engine().begin() as admin:
        admin.exec_driver_sql(f'drop role "{ROLE}"')


def engine_of(server, database="postgres", **env):
    url = server.url(ROLE, database).render_as_string(hide_password=False)
    return engine_from_env({"DATABASE_URL": url, **env})


def current_user(engine):
    try:
        with engine.connect() as connection:
            return connection.scalar(sa.text("select current_user"))
    finally:
        engine.dispose()


def test_the_right_password_connects(asking, server):
    assert current_user(engine_of(server, DB_PASS=CANARY)) == ROLE


def test_a_wrong_password_is_called_that(asking, server):
    with pytest.raises(
        ConfigError, match="database postgres at a Unix socket: wrong password"
    ) as error:
        current_user(engine_of(server, DB_PASS=f"not {CANARY}"))
    assert "DB_PASS" in str(error.value)
    assert CANARY not in repr(error.value)


def test_a_missing_password_says_which_variable_to_set(asking, server):
    with pytest.raises(ConfigError, match="asks for a password: set DB_PASS or DB_PASS_SECRET"):
        current_user(engine_of(server))


def test_a_missing_database_is_called_that(asking, server):
    with pytest.raises(ConfigError, match="nowhere at a Unix socket: there is no such"):
        current_user(engine_of(server, "nowhere", DB_PASS=CANARY))


def test_a_server_that_cannot_be_reached_is_named_with_what_to_do():
    port = free_port()
    engine = engine_from_env({"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:{port}/d"})
    with pytest.raises(
        DatabaseUnavailable, match=f"d at 127.0.0.1:{port} cannot be reached"
    ) as error:
        current_user(engine)
    assert "check DATABASE_URL" in str(error.value)
    assert CANARY not in str(error.value)


def test_a_server_that_is_no_database_is_unavailable():
    """It accepts, and closes."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        engine = engine_from_env({"DATABASE_URL": f"postgresql://u:p@127.0.0.1:{port}/d"})
        listening.settimeout(10)

        def close() -> None:
            listening.accept()[0].close()

        closing = threading.Thread(target=close)
        closing.start()
        with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
            current_user(engine)
        closing.join()


def test_too_many_connections_pass(server):
    with server.engine().begin() as admin:
        admin.exec_driver_sql("create role crowded login connection limit 0")
    url = server.url("crowded").render_as_string()
    with pytest.raises(DatabaseUnavailable, match="too many connections"):
        current_user(engine_from_env({"DATABASE_URL": url}))
    with server.engine().begin() as admin:
        admin.exec_driver_sql("drop role crowded")


@pytest.mark.parametrize(
    ("url", "described"),
    [
        ("postgresql://u:p@db.example.com/d", "d at db.example.com"),
        ("postgresql://u:p@h:1/d", "d at h:1"),
        ("postgresql://u@/d?unix_sock=/s/.s.PGSQL.5432", "d at a Unix socket"),
    ],
)
def test_a_database_is_described_without_its_password(url, described):
    assert describe(parse_url(url, "p")) == described
