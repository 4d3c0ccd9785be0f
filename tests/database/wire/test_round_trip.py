"""Against a real server; the trips are counted at the driver's stream."""

import pg8000
import pytest
import sqlalchemy as sa

from ragkit.database.engine import engine_from_env
from ragkit.database.wire.round_trip import ask


@pytest.fixture
def engine(database):
    engine = engine_from_env({"DATABASE_URL": database.render_as_string()}, ping=False)
    yield engine
    engine.dispose()


class CountingStream:
    """A driver's stream; each flush is a trip."""

    def __init__(self, stream):
        self._flush, self.trips = stream.flush, 0
        self.read, self.write = stream.read, stream.write

    def flush(self):
        self.trips += 1
        self._flush()


def count_trips(connection):
    driver = connection.connection.dbapi_connection
    driver._sock = CountingStream(driver._sock)
    return driver._sock


def show(connection, setting):
    return connection.scalar(sa.text(f"show {setting}"))


def test_a_query_and_its_settings_are_one_round_trip(engine):
    with engine.connect() as connection:
        stream = count_trips(connection)
        sql = "select current_setting('statement_timeout'), $1::text, $2::int8"
        rows = ask(connection, sql, [b"tea", (7).to_bytes(8, "big")], {"statement_timeout": "77"})
    assert rows == [["77ms", "tea", 7]]
    assert stream.trips == 1  # and none for the pool, which takes the connection back


def test_the_settings_end_with_the_query(engine):
    with engine.connect() as connection:
        ask(connection, "select 1", [], {"statement_timeout": "77"})
        assert show(connection, "statement_timeout") == "0"


def test_in_a_transaction_they_end_with_it(engine):
    with engine.connect() as connection:
        with connection.begin():
            connection.execute(sa.text("select 1"))
            ask(connection, "select 1", [], {"statement_timeout": "77"})
            assert show(connection, "statement_timeout") == "77ms"
        assert show(connection, "statement_timeout") == "0"


def test_values_are_those_of_the_driver(engine):
    sql = (
        "select null, 1.5::float8, 2.50::numeric, time '07:30', date '2026-11-01', true, "
        "'{\"a\": 1}'::jsonb, array[1, 2], '…'"
    )
    with engine.connect() as connection:
        rows = ask(connection, sql, [], {})
        assert rows == [list(row) for row in connection.exec_driver_sql(sql)]


@pytest.mark.parametrize(
    ("sql", "settings", "state"),
    [
        ("select 1 / $1::int8", {}, "22012"),
        ("select nothing", {"statement_timeout": "77"}, "42703"),
        ("select 1", {"no_such_setting": "1"}, "42704"),
        ("select pg_sleep(20)", {"statement_timeout": "50"}, "57014"),
    ],
)
def test_after_a_refused_statement_the_connection_serves_on(engine, sql, settings, state):
    with engine.connect() as connection:
        with pytest.raises(pg8000.DatabaseError) as error:
            ask(connection, sql, [bytes(8)] if "$1" in sql else [], settings)
        assert error.value.args[0]["C"] == state
        assert not connection.invalidated
        assert ask(connection, "select 2", [], {}) == [[2]]


def test_a_connection_that_breaks_is_not_used_again(engine, admin):
    with engine.connect() as connection:
        ((pid,),) = ask(connection, "select pg_backend_pid()", [], {})
        with admin.connect() as other:
            other.execute(sa.text("select pg_terminate_backend(:pid, 5000)"), {"pid": pid})
        with pytest.raises(pg8000.InterfaceError):
            ask(connection, "select 1", [], {})
        assert connection.invalidated
    with engine.connect() as connection:
        assert ask(connection, "select pg_backend_pid()", [], {}) != [[pid]]
