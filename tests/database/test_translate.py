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
