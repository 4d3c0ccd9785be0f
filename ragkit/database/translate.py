"""Driver errors as ragkit's own: without statement, values, URL or secret."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pg8000
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ragkit.errors import DatabaseError, DatabaseUnavailable

_UNAVAILABLE = ("08", "57P", "53300")
"""SQLSTATE prefixes of a server that is starting, stopping or full, or of a broken connection."""

LOCK_NOT_AVAILABLE = "55P03"
"""The SQLSTATE of a statement that lock_timeout has ended."""


@contextmanager
def translate_errors(action: str) -> Iterator[None]:
    """Raises DatabaseError or DatabaseUnavailable in place of a driver's error.

    The message is `action` and the server's primary message.
    """
    try:
        yield
    except PoolTimeout:
        raise DatabaseUnavailable(f"{action}: no free database connection in time") from None
    except DBAPIError as error:
        unavailable = (sqlstate(error) or "08").startswith(_UNAVAILABLE)
        if error.connection_invalidated or unavailable:
            raise DatabaseUnavailable(f"{action}: the database cannot be reached") from None
        raise DatabaseError(f"{action}: {_server_fields(error).get('M', '')}") from None
    except (pg8000.Error, OSError) as error:
        raise DatabaseUnavailable(
            f"{action}: the database cannot be reached ({type(error).__name__})"
        ) from None


def sqlstate(error: DBAPIError) -> str | None:
    """The five-character SQLSTATE of a server's error; None when no server answered."""
    return _server_fields(error).get("C")


def _server_fields(error: DBAPIError) -> dict[str, Any]:
    """PostgreSQL's error fields by their one-letter codes; {} when no server answered."""
    arguments = error.orig.args if error.orig else ()
    return arguments[0] if arguments and isinstance(arguments[0], dict) else {}
