"""Through the connector's own TLS socket, with the options that the operating system holds."""

import socket
import time

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import VECTOR

from ragkit.database.engine import engine_from_env
from ragkit.database.sockets import IDLE_SECONDS

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
