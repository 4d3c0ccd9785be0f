import traceback

import pytest

from ragkit.database.engine import autocommit, engine_from_env, parse_url
from ragkit.errors import ConfigError
from tests.database.conftest import CANARY


def test_the_password_comes_from_the_environment_and_is_never_printed():
    url = parse_url("postgresql://u@h:1/d", CANARY)
    assert (url.drivername, url.password) == ("postgresql+pg8000", CANARY)
    engine = engine_from_env({"DATABASE_URL": "postgresql://u@h/d", "DB_PASS": CANARY})
    assert CANARY not in repr(url) + str(engine)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({}, "INSTANCE_CONNECTION_NAME, DB_USER, DB_NAME"),
        ({"DB_USER": "u", "DB_NAME": "d"}, "set INSTANCE_CONNECTION_NAME "),
        ({"DATABASE_URL": "no url"}, "not of the form"),
        ({"DATABASE_URL": "sqlite:///x"}, "expected a postgresql URL"),
        ({"DB_POOL_SIZE": "3", "DATABASE_URL": "postgresql://h/d"}, "'3': .* at least 4"),
        ({"DB_POOL_SIZE": "-8", "DATABASE_URL": "postgresql://h/d"}, "'-8': expected a number"),
    ],
)
def test_a_missing_or_wrong_setting_is_named(env, message):
    with pytest.raises(ConfigError, match=message):
        engine_from_env(env)


def test_autocommit_is_outside_of_transactions(engine):
    for _ in range(2):  # the second connection was pinged by the pool
        with autocommit(engine) as connection:
            connection.exec_driver_sql("create table if not exists t (id int)")
            connection.exec_driver_sql("create index concurrently on t (id)")


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://u:p@{CANARY}@h/d",
        f"postgresql://u:p@h/{CANARY}@h/d",
        f"postgresql://u:{CANARY}@h:5432x/d",
        f"postgresql://u@h/d?password={CANARY}",
        f"postgresql://u@h/d?sslpassword={CANARY}",
        f"://{CANARY}",
        f"{CANARY}",
    ],
)
def test_a_url_that_may_hold_a_password_in_the_wrong_place_is_refused_without_it(url):
    with pytest.raises(ConfigError, match="DB_PASS") as error:
        engine_from_env({"DATABASE_URL": url})
    assert CANARY not in repr(error.value)
    assert CANARY not in "".join(traceback.format_exception(error.value))


def test_a_percent_encoded_password_is_taken():
    engine = engine_from_env({"DATABASE_URL": "postgresql://u:p%40s%2Fs@h/d"})
    assert engine.url.password == "p@s/s"
