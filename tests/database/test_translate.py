from io import BytesIO

import pytest
import sqlalchemy as sa

from ragkit.database.translate import sqlstate, translate_errors
from ragkit.errors import DatabaseError, DatabaseUnavailable
from tests.database.conftest import CANARY


def test_a_server_error_is_reported_without_statement_and_values(engine):
    with (
        pytest.raises(DatabaseError) as error,
        translate_errors("asking"),
        engine.connect() as connection,
    ):
        connection.execute(sa.text("select cast(:v as int), no_such_column"), {"v": CANARY})
    assert str(error.value) == 'asking: column "no_such_column" does not exist'


def test_a_server_that_cannot_be_reached_is_unavailable(tmp_path):
    engine = sa.create_engine(f"postgresql+pg8000://u:{CANARY}@/d?unix_sock={tmp_path}/none")
    with pytest.raises(DatabaseUnavailable) as error, translate_errors("asking"):
        engine.connect()
    assert "asking: the database cannot be reached" in str(error.value)
    assert CANARY not in str(error.value)


def test_a_server_error_has_its_sqlstate(engine):
    with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError) as error:
        connection.execute(sa.text("select no_such_column"))
    assert sqlstate(error.value) == "42703"


def test_an_error_of_the_drivers_own_cursor_keeps_its_meaning(engine):
    """As of a COPY, which SQLAlchemy does not wrap."""
    with (
        pytest.raises(DatabaseError, match='copying: relation "no_such_table" does not') as error,
        translate_errors("copying"),
        engine.connect() as connection,
    ):
        connection.connection.cursor().execute("copy no_such_table from stdin", stream=BytesIO())
    assert not isinstance(error.value, DatabaseUnavailable)


def test_an_error_that_no_server_answered_is_not_unavailable(engine):
    """The driver refuses a statement before it is sent: another attempt would be refused too."""
    with (
        pytest.raises(DatabaseError, match=r"asking: .* of the driver") as error,
        translate_errors("asking"),
        engine.connect() as connection,
    ):
        connection.exec_driver_sql("select %d", (1,))
    assert not isinstance(error.value, DatabaseUnavailable)


def test_a_broken_connection_is_unavailable(engine, server):
    with (
        pytest.raises(DatabaseUnavailable, match=r"asking: .*(terminating|broke)"),
        translate_errors("asking"),
        engine.connect() as connection,
    ):
        pid = connection.scalar(sa.text("select pg_backend_pid()"))
        with server.engine().connect() as admin:
            admin.execute(sa.text("select pg_terminate_backend(:pid)"), {"pid": pid})
        connection.execute(sa.text("select 1"))
