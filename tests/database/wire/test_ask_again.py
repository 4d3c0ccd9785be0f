"""Sessions that a real server ends, and one that falls silent."""

import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.database.wire.ask_again import ask_again
from ragkit.database.wire.round_trip import ask
from ragkit.errors import DatabaseError, DatabaseUnavailable
from tests.conftest import ROLE
from tests.stand_ins import silent

READ_SECONDS = 0.5


@pytest.fixture
def engine(database):
    engine = engine_from_env({"DATABASE_URL": database.render_as_string()}, ping=False)
    yield engine
    engine.dispose()


@pytest.fixture
def proxy(database):
    with silent.serving(database.query["unix_sock"]) as proxy:
        yield proxy


@pytest.fixture
def distant(proxy, database):
    """An engine whose server can fall silent."""
    host, port = proxy.address
    url = f"postgresql://{ROLE}@{host}:{port}/{database.database.replace(' ', '%20')}"
    engine = engine_from_env({"DATABASE_URL": url}, read_seconds=READ_SECONDS, ping=False)
    yield engine
    engine.dispose()


def pid_of(connection):
    return ask(connection, "select pg_backend_pid()", [], {})[0][0]


def end_sessions(admin, database):
    statement = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = :name"
    with admin.connect() as connection:
        return len(connection.execute(sa.text(statement), {"name": database.database}).all())


def test_every_connection_that_the_server_has_closed_is_replaced(engine, database, admin):
    connections = [engine.connect() for _ in range(3)]
    for connection in connections:
        pid_of(connection)
        connection.close()
    assert end_sessions(admin, database) == 3
    for _ in range(3):
        with engine.connect() as connection:  # not even a second question is needed
            assert pid_of(connection)


def test_a_session_that_ends_under_a_question_is_replaced_once(engine, database, admin):
    pids = []

    def read(connection):
        pids.append(pid_of(connection))
        if len(pids) == 1:
            end_sessions(admin, database)
        return pid_of(connection)

    assert ask_again(engine, read) == pids[1] != pids[0]


def test_a_session_that_ends_under_each_question_is_unavailable(engine, database, admin):
    asked = []

    def read(connection):
        asked.append(pid_of(connection))
        end_sessions(admin, database)
        return pid_of(connection)

    with pytest.raises(DatabaseUnavailable, match="broke"), translate_errors("asking"):
        ask_again(engine, read)
    assert len(asked) == 2


def test_a_refused_statement_is_not_repeated(engine):
    asked = []

    def read(connection):
        asked.append(connection)
        return ask(connection, "select nothing", [], {})

    with pytest.raises(DatabaseError, match='column "nothing"'), translate_errors("asking"):
        ask_again(engine, read)
    assert len(asked) == 1


def test_statements_of_sqlalchemy_are_repeated_too(engine, database, admin):
    asked = []

    def read(connection):
        asked.append(connection.scalar(sa.text("select pg_backend_pid()")))
        if len(asked) == 1:
            end_sessions(admin, database)
        return connection.scalar(sa.text("select pg_backend_pid()"))

    assert ask_again(engine, read) == asked[1] != asked[0]


def test_a_server_that_vanished_costs_one_answers_time(distant, proxy):
    """All pooled connections are silent; a new one is answered, as after a failover."""
    connections = [distant.connect() for _ in range(3)]
    for connection in connections:
        pid_of(connection)
        connection.close()
    proxy.talking.clear()
    threading.Timer(READ_SECONDS * 1.4, proxy.talking.set).start()
    start = time.monotonic()
    assert ask_again(distant, pid_of)
    assert READ_SECONDS < time.monotonic() - start < 3 * READ_SECONDS


def test_a_server_that_stays_silent_is_given_up(distant, proxy):
    assert ask_again(distant, pid_of)
    proxy.talking.clear()
    start = time.monotonic()
    with pytest.raises(DatabaseUnavailable), translate_errors("asking"):
        ask_again(distant, pid_of)
    assert time.monotonic() - start < 4 * READ_SECONDS
