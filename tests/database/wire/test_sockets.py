"""Through the connector's own TLS socket, with the options that the operating system holds."""

import socket
import threading
import time

import numpy as np
import pytest
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.engine import CONNECT_SECONDS, engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.database.wire.sockets import IDLE_SECONDS, wait_without_limit
from ragkit.errors import DatabaseUnavailable
from tests.conftest import ROLE
from tests.stand_ins import silent

QUERIES, SECONDS_A_QUERY = 40, 0.02
"""A delayed acknowledgement takes 0.04 s."""


def test_a_vector_is_sent_without_waiting_for_an_acknowledgement(instance):
    engine = engine_from_env(instance.settings, refresh="lazy")
    values = np.random.default_rng(1).normal(size=1024)
    vector = sa.cast(sa.bindparam("vector", values, type_=VECTOR()), VECTOR)
    with engine.connect() as connection:
        seconds = []
        for _ in range(QUERIES):
            start = time.monotonic()
            connection.scalar(sa.select(vector))
            seconds.append(time.monotonic() - start)
    engine.dispose()
    assert np.median(seconds) < SECONDS_A_QUERY


def test_a_silent_server_is_noticed(instance):
    engine = engine_from_env(instance.settings, refresh="lazy")
    with engine.connect() as connection:
        sock = connection.connection.dbapi_connection._usock
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == IDLE_SECONDS
    engine.dispose()


def test_a_unix_socket_has_no_such_options(database):
    engine = engine_from_env({"DATABASE_URL": database.render_as_string(hide_password=False)})
    with engine.connect() as connection:
        assert connection.scalar(sa.text("select 1")) == 1
    engine.dispose()


@pytest.fixture
def proxy(database):
    with silent.serving(database.query["unix_sock"]) as proxy:
        yield proxy


def engine_through(proxy, database, read_seconds):
    host, port = proxy.address
    url = f"postgresql://{ROLE}@{host}:{port}/{database.database.replace(' ', '%20')}"
    return engine_from_env({"DATABASE_URL": url}, read_seconds=read_seconds)


def ask(engine, statement="select 1"):
    with translate_errors("asking"), engine.connect() as connection:
        return connection.scalar(sa.text(statement))


def test_a_server_that_falls_silent_is_given_up_and_come_back_to(proxy, database):
    """On a connection of the pool, and on a new one."""
    engine = engine_through(proxy, database, read_seconds=0.5)
    assert ask(engine) == 1
    proxy.talking.clear()
    start = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        ask(engine)
    assert time.monotonic() - start < CONNECT_SECONDS + 2
    proxy.talking.set()
    assert ask(engine) == 1
    engine.dispose()


def test_a_statement_that_takes_longer_than_the_limit_is_given_up(proxy, database):
    engine = engine_through(proxy, database, read_seconds=0.5)
    with pytest.raises(DatabaseUnavailable, match="the connection to the database broke"):
        ask(engine, "select pg_sleep(5)")
    with engine.connect() as connection:
        wait_without_limit(connection)
        assert connection.scalar(sa.text("select 2 from pg_sleep(1)")) == 2
    engine.dispose()


def test_the_last_words_of_a_server_are_passed_on(database, server):
    engine = engine_from_env({"DATABASE_URL": database.render_as_string()})
    with (
        server.engine().connect() as admin,
        pytest.raises(DatabaseUnavailable) as error,
        translate_errors("asking"),
        engine.connect() as connection,
    ):
        pid = connection.scalar(sa.text("select pg_backend_pid()"))
        end = sa.text("select pg_terminate_backend(:pid)")
        threading.Timer(0.5, admin.execute, [end, {"pid": pid}]).start()
        connection.scalar(sa.text("select pg_sleep(5)"))
    assert str(error.value) == ("asking: terminating connection due to administrator command")
    assert ask(engine) == 1
    engine.dispose()
