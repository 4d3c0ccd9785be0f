"""Driver errors as ragkit's own: without statement, values, URL or secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pg8000
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ragkit.errors import (
    BrokenConstraint,
    ConfigError,
    DatabaseError,
    DatabaseUnavailable,
    LostRace,
)

_UNAVAILABLE = ("08", "57P", "53300")
"""SQLSTATE prefixes of a server that is starting, stopping or full, or of a broken connection."""
_NOT_MADE = ("communication error", "Can't create a connection")
_BROKEN = ("network error", "connection is closed")
"""How pg8000 words that a connection could not be made, or broke."""
_STATEMENT_MODE = "statement pooling mode"
"""How pgbouncer words that it has no transactions."""

LOCK_NOT_AVAILABLE = "55P03"
"""The SQLSTATE of a statement that lock_timeout has ended."""
QUERY_CANCELED = "57014"
"""Of one that statement_timeout has ended."""
BROKEN_CONSTRAINTS = ("23514", "23502")
"""Of a CHECK, and of a NOT NULL."""
LOST_RACES = (LOCK_NOT_AVAILABLE, "40P01", "40001")
"""With a deadlock's, and a serialisation failure's."""


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raises DatabaseError, LostRace, BrokenConstraint or DatabaseUnavailable in place of a
    driver's error, or ConfigError for a pooler without transactions.

    The message is `action` and the server's primary message.
    """
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnavailable(f"{action}: no free database connection in time") from None
    except (DBAPIError, pg8000.Error, OSError) as error:
        if _STATEMENT_MODE in server_fields(error).get("M", ""):
            raise ConfigError(
                f"{action}: the pooler ends each transaction after a statement: set its pool_mode "
                "to transaction or session"
            ) from None
        if is_unavailable(error):
            raise DatabaseUnavailable(f"{action}: {_why_unavailable(error)}") from None
        reason = server_fields(error).get("M", f"{type(error).__name__} of the driver")
        raise _kind(sqlstate(error))(f"{action}: {reason}") from None


def _kind(state: str | None) -> type[DatabaseError]:
    if state in LOST_RACES:
        return LostRace
    return BrokenConstraint if state in BROKEN_CONSTRAINTS else DatabaseError


def is_unavailable(error: Exception) -> bool:
    """Whether the server is away, so that a later attempt may work."""
    if state := sqlstate(error):
        return state.startswith(_UNAVAILABLE)
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    cause = _driver_error(error)
    is_driver = isinstance(cause, pg8000.InterfaceError)
    return isinstance(cause, OSError) or (is_driver and str(cause).startswith(_NOT_MADE + _BROKEN))


def _why_unavailable(error: Exception) -> str:
    if message := server_fields(error).get("M"):
        return str(message)
    if str(_driver_error(error)).startswith(_NOT_MADE):
        return "the database cannot be reached"
    return "the connection to the database broke"


def sqlstate(error: Exception) -> str | None:
    """The five-character SQLSTATE of a server's error; None when no server answered."""
    return server_fields(error).get("C")


def server_fields(error: Exception) -> dict[str, Any]:
    """PostgreSQL's error fields by their one-letter codes; {} when no server answered.

    `error` is SQLAlchemy's or, as from a COPY, the driver's own.
    """
    cause = _driver_error(error)
    arguments = cause.args if isinstance(cause, pg8000.Error) else ()
    return arguments[0] if arguments and isinstance(arguments[0], dict) else {}


def _driver_error(error: Exception) -> BaseException | None:
    return error.orig if isinstance(error, DBAPIError) else error
