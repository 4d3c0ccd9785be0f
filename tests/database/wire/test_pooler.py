"""Behind a pooler in transaction mode, whose clients share one server connection."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.wire.ask_again import ask_again
from ragkit.database.wire.round_trip import ask
from tests.stand_ins import pgbouncer

pytestmark = pytest.mark.skipif(not pgbouncer.PROGRAM, reason="pgbouncer is not installed")


@pytest.fixture
def pooled(database):
    with pgbouncer.serving(database, size=1) as url:
        address = url.render_as_string(hide_password=False)
        engine = engine_from_env({"DATABASE_URL": address}, ping=False)
        yield engine
        engine.dispose()


def test_clients_in_turns_get_their_own_answers(pooled):
    """Two statements without a name, of different shapes, over the same server connection."""
    failures = []

    def read(number):
        sql = "select $1::int8" if number % 2 else "select current_setting('statement_timeout'), 1"
        values = [number.to_bytes(8, "big")] if number % 2 else []
        expected = [[number]] if number % 2 else [["77ms", 1]]
        for _ in range(100):
            rows = ask_again(pooled, lambda c: ask(c, sql, values, {"statement_timeout": "77"}))
            if rows != expected:
                failures.append(rows)

    threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_the_next_client_keeps_its_own_limits(pooled):
    """It gets the same server connection, as its process tells."""
    with pooled.connect() as one, pooled.connect() as other:
        ((pid,),) = ask(one, "select pg_backend_pid()", [], {"statement_timeout": "77"})
        query = sa.text("select pg_backend_pid(), current_setting('statement_timeout')")
        assert other.execute(query).one() == (pid, "0")


def test_a_server_connection_that_ended_is_replaced(pooled, admin):
    """The pooler keeps the client's connection: its first statement finds out."""
    pid = ask_again(pooled, lambda c: ask(c, "select pg_backend_pid()", [], {}))[0][0]
    with admin.connect() as connection:
        connection.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
    assert ask_again(pooled, lambda c: ask(c, "select pg_backend_pid()", [], {})) != [[pid]]
