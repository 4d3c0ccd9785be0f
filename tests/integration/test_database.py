import pytest
import sqlalchemy as sa

from ragkit.database import autocommit, engine_from, plain_errors, quoted, url_from
from ragkit.errors import ConfigError, DatabaseError

CANARY = "canary-password"
MISSION = {
    "INSTANCE_CONNECTION_NAME": "p:us-central1:i",
    "DB_USER": "u",
    "DB_NAME": "d",
    "DB_PASS": CANARY,
}


def test_the_password_comes_from_outside_and_is_never_printed():
    url = url_from("postgresql://u@h:1/d", CANARY)
    assert (url.drivername, url.password) == ("postgresql+pg8000", CANARY)
    assert CANARY not in repr(url) + str(engine_from({"DATABASE_URL": "postgresql://u@h/d",
                                                      "DB_PASS": CANARY}))  # fmt: skip


@pytest.mark.parametrize(
    ("env", "says"),
    [
        ({}, "INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
        ({"DB_USER": "u", "DB_NAME": "d"}, "set INSTANCE_CONNECTION_NAME "),
        ({"DATABASE_URL": "no url"}, "not of the form"),
        ({"DATABASE_URL": "sqlite:///x"}, "expected a postgresql URL"),
    ],
)
def test_what_is_missing_is_named(env, says):
    with pytest.raises(ConfigError, match=says):
        engine_from(env)


def test_a_servers_error_is_told_without_statement_and_values(engine):
    with (
        pytest.raises(DatabaseError) as caught,
        plain_errors("asking"),
        engine.connect() as connection,
    ):
        connection.execute(sa.text("select cast(:v as int), no_such_column"), {"v": CANARY})
    assert str(caught.value) == 'asking: column "no_such_column" does not exist'


@pytest.mark.parametrize("name", ['a"b', "Mixed Case", "select", "a:b", "a%b", "ä"])
def test_any_name_is_quoted(engine, name):
    with engine.begin() as connection:
        connection.exec_driver_sql(f"create table {quoted('public', name)} ({quoted(name)} int)")
    assert name in sa.inspect(engine).get_table_names()


def test_autocommit_is_outside_of_transactions(engine):
    for _ in range(2):  # the second takes a connection that the pool has pinged
        with autocommit(engine) as connection:
            connection.exec_driver_sql("create table if not exists t (id int)")
            connection.exec_driver_sql("create index concurrently on t (id)")
