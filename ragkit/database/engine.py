"""The SQLAlchemy engine, from the environment."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ragkit.database.cloud_sql import connection_factory
from ragkit.database.connecting import explain_failed_connects
from ragkit.database.secret_manager import read_password
from ragkit.database.wire.ask_again import replace_closed
from ragkit.database.wire.sockets import tune
from ragkit.errors import ConfigError

POOL_SIZE, DEFAULT_POOL, MIN_POOL = "DB_POOL_SIZE", 8, 4
"""Of a process: the setting, one for each thread of the function, and two that write all the time
with two for everything else of a backfill. A connection is opened when needed, then kept."""
_POOL: dict[str, Any] = {
    "max_overflow": 0,  # a connection above pool_size would be reopened for each request
    "pool_timeout": 10,  # seconds that a request waits for a free connection
    "pool_recycle": 1800,  # seconds; below the idle limits of proxies and load balancers
}

ENCODING = "password with special characters must be percent-encoded, or set as DB_PASS instead"
CONNECT_SECONDS = 10.0
READ_SECONDS = 600.0
"""More than any statement of a migration takes but the building of an index."""


def engine_from_env(
    env: Mapping[str, str] = os.environ,
    name: str = "ragkit",
    refresh: str = "background",
    read_seconds: float = READ_SECONDS,
    ping: bool = True,
) -> sa.Engine:
    """A lazy engine: nothing connects until it is used.

    Settings: DATABASE_URL (`postgresql+pg8000://…`, for a server that is reached directly), else
    those of `ragkit.database.cloud_sql`; DB_POOL_SIZE, the most connections at once. `name` is the
    application_name of its sessions; `refresh` is the connector's refresh strategy: "lazy" in a
    function, which has no CPU between requests. A server that is silent for `read_seconds` while an
    answer is due has failed.
    Without `ping`, the pool does not ask the server whether a connection still works, which costs
    a request three round trips: see `ragkit.database.wire.ask_again`. Raises ConfigError, which
    names the settings that are missing.
    """
    size = _pool_size(env)
    if env.get("DATABASE_URL"):
        url = parse_url(env["DATABASE_URL"], read_password(env))
        timeout = min(CONNECT_SECONDS, read_seconds)
        arguments: dict[str, Any] = {"application_name": name, "timeout": timeout}
        if "unix_sock" in url.query:  # else pg8000 loads the certificates for each session
            arguments["ssl_context"] = False
        return _create(url, read_seconds, ping, pool_size=size, connect_args=arguments)
    missing = [n for n in ("INSTANCE_CONNECTION_NAME", "DB_USER", "DB_NAME") if not env.get(n)]
    if missing:
        raise ConfigError(f"no database: set {', '.join(missing)} (or DATABASE_URL for local use)")
    connect = connection_factory(env, name, refresh)
    named = URL.create(  # names the database; the creator alone connects
        "postgresql+pg8000", env["DB_USER"], host=env["INSTANCE_CONNECTION_NAME"],
        database=env["DB_NAME"],
    )  # fmt: skip
    return _create(named, read_seconds, ping, pool_size=size, creator=connect)


def most_connections(engine: sa.Engine) -> int:
    """That its pool opens at once."""
    pool: Any = engine.pool  # SQLAlchemy has no public name for the overflow
    return int(pool.size() + max(0, pool._max_overflow))


def _pool_size(env: Mapping[str, str]) -> int:
    text = env.get("DB_POOL_SIZE") or str(DEFAULT_POOL)
    if not text.isdecimal() or int(text) < MIN_POOL:
        raise ConfigError(
            f"{POOL_SIZE} is {text!r}: expected a number of connections, at least {MIN_POOL}"
        )
    return int(text)


def _create(url: URL, read_seconds: float, ping: bool, **options: Any) -> sa.Engine:
    engine = sa.create_engine(url, **options, **_POOL, pool_pre_ping=ping)
    if not ping:
        replace_closed(engine)
    explain_failed_connects(engine, "check DATABASE_URL, that the server runs, and the network")
    sa.event.listen(
        engine, "connect", lambda connection, _: tune(connection, read_seconds), insert=True
    )
    return engine


def parse_url(text: str, password: str | None) -> URL:
    """The pg8000 URL of `text`; `password` replaces the URL's own.

    Raises ConfigError, never with a part of `text`: where a password is not percent-encoded, any
    part may be one.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            "the database URL is not of the form postgresql+pg8000://user@host:port/database; a "
            f"{ENCODING}"
        ) from None
    if "@" in f"{url.host}{url.database}":
        raise ConfigError(f"the database URL has several @: a {ENCODING}")
    if secret := [name for name in url.query if "pass" in name.lower()]:
        raise ConfigError(f"the database URL has a parameter {secret[0]!r}: set DB_PASS instead")
    if url.get_backend_name() != "postgresql":
        raise ConfigError(f"expected a postgresql URL, got {url.get_backend_name()!r}")
    return url.set(drivername="postgresql+pg8000", password=password or url.password)


@contextmanager
def autocommit(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection outside of transactions, as CONCURRENTLY and CREATE DATABASE require.

    SQLAlchemy's own AUTOCOMMIT ends with a SET, which stays on a pooler's session. Statements have
    no bound values: pg8000 prepares such ones, perhaps in another session than they then run in.
    """
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        driver.rollback()  # pg8000: the pool's ping has opened a transaction
        driver.autocommit = True
        try:
            yield connection
        finally:
            driver.autocommit = False
