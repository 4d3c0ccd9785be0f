"""The way into PostgreSQL: an engine from the environment, quoted names, errors without secrets."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pg8000
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ragkit.cloud_sql import creator
from ragkit.errors import ConfigError, DatabaseError, DatabaseUnavailable
from ragkit.secret import password

_POOL = {
    "pool_size": 8,  # opened as they are needed, and kept: one a thread of the function
    "max_overflow": 0,  # those above pool_size are closed after each use, and a burst reconnects
    "pool_timeout": 10,  # seconds a request waits for a free one
    "pool_recycle": 1800,  # seconds; below the idle limits of proxies and load balancers
    "pool_pre_ping": True,  # a server restart costs a reconnect, not a failed request
}
_AWAY = ("08", "57P", "53300")
"""SQLSTATEs of a server that is starting, stopping or full, or of a connection that broke."""
# A named paramstyle: with the others "%" would be doubled, and stay so in the table's name.
_quote = postgresql.dialect(paramstyle="named").identifier_preparer.quote


def engine_from(
    env: Mapping[str, str] = os.environ, name: str = "ragkit", refresh: str = "background"
) -> sa.Engine:
    """A lazy engine; nothing connects yet. `name` is what pg_stat_activity calls its sessions.

    DATABASE_URL (SQLAlchemy, `postgresql+pg8000://`) for local use, else the Cloud SQL settings
    of `ragkit.cloud_sql`; `refresh` is how its certificates are kept fresh: "lazy" in a function,
    which has no CPU between requests. Raises ConfigError naming what is missing.
    """
    if env.get("DATABASE_URL"):
        url = url_from(env["DATABASE_URL"], password(env))
        return sa.create_engine(url, connect_args={"application_name": name}, **_POOL)
    missing = [n for n in ("INSTANCE_CONNECTION_NAME", "DB_USER", "DB_NAME") if not env.get(n)]
    if missing:
        raise ConfigError(f"no database: set {', '.join(missing)} (or DATABASE_URL for local use)")
    return sa.create_engine("postgresql+pg8000://", creator=creator(env, name, refresh), **_POOL)


def url_from(text: str, password: str | None) -> URL:
    """The pg8000 URL for `text`, with the password added from outside. Raises ConfigError."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise ConfigError(
            "the database URL is not of the form postgresql+pg8000://user@host:port/database"
        ) from None
    if url.get_backend_name() != "postgresql":
        raise ConfigError(f"expected a postgresql URL, got {url.get_backend_name()!r}")
    return url.set(drivername="postgresql+pg8000", password=password or url.password)


@contextmanager
def autocommit(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection outside of transactions, as CONCURRENTLY and CREATE DATABASE need it."""
    with engine.connect() as connection:
        connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def quoted(*names: str) -> str:
    """SQL for an identifier of one or more parts, each quoted where it has to be."""
    return ".".join(_quote(name) for name in names)


@contextmanager
def plain_errors(doing: str) -> Iterator[None]:
    """Turns a driver's error into a DatabaseError that holds no statement, value or URL."""
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnavailable(f"{doing}: no free database connection in time") from None
    except DBAPIError as error:
        reason = _reason(error.orig)
        away = error.connection_invalidated or (sqlstate(error) or "08").startswith(_AWAY)
        if away:
            raise DatabaseUnavailable(f"{doing}: the database cannot be reached") from None
        raise DatabaseError(f"{doing}: {reason}") from None
    except (pg8000.Error, OSError, TimeoutError) as error:
        raise DatabaseUnavailable(
            f"{doing}: the database cannot be reached ({type(error).__name__})"
        ) from None


def sqlstate(error: DBAPIError) -> str | None:
    """The five-character SQLSTATE of a server's error, None when no server answered."""
    return error.orig.args[0].get("C") if _has_sqlstate(error.orig) else None


def _has_sqlstate(error: BaseException | None) -> bool:
    return bool(error and error.args and isinstance(error.args[0], dict))


def _reason(error: BaseException | None) -> str:
    return error.args[0].get("M", "") if _has_sqlstate(error) else type(error).__name__
