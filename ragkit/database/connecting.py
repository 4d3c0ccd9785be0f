"""Connecting, and why it failed: ConfigError for a setting, DatabaseUnavailable for what passes."""

from typing import Any

import pg8000
import sqlalchemy as sa
from sqlalchemy.engine import URL

from ragkit.database.translate import is_unavailable, server_fields
from ragkit.errors import ConfigError, DatabaseUnavailable, RagkitError

_WRONG_LOGIN, _NO_DATABASE = "28", "3D000"
"""SQLSTATEs: a class, and one."""


def explain_failed_connects(engine: sa.Engine, remedy: str) -> None:
    """Connections of `engine` raise ragkit's errors; `remedy` is what to do when the server cannot
    be reached."""
    place = f"database {describe(engine.url)}"

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: object, args: list[Any], options: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*args, **options)
        except Exception as error:  # a driver without a password fails in its own code
            if refusal := find_refusal(error):
                raise explain_refusal(place, refusal) from None
            if options.get("password") is None and not _is_network(error):
                raise ConfigError(
                    f"{place} asks for a password: set DB_PASS or DB_PASS_SECRET"
                ) from None
            raise DatabaseUnavailable(f"{place} cannot be reached: {remedy}") from None


def describe(url: URL) -> str:
    """Such as "shop at db.example.com:5432", never with the password."""
    host = url.host or ("a Unix socket" if "unix_sock" in url.query else "localhost")
    return f"{url.database} at {host}" + (f":{url.port}" if url.port else "")


def find_refusal(error: BaseException | None) -> Exception | None:
    """The server's answer behind an error: pg8000 fails again when it says goodbye to a server
    that has hung up. None when there was no answer."""
    while isinstance(error, Exception):
        if server_fields(error):
            return error
        error = error.__context__
    return None


def explain_refusal(place: str, error: Exception) -> RagkitError:
    """What a server's answer to a login means. Only the server's words are passed on: those of a
    driver may hold a secret."""
    fields = server_fields(error)
    state, message = fields.get("C", ""), fields.get("M", "")
    if is_unavailable(error):
        return DatabaseUnavailable(f"{place}: {message}")
    if state.startswith(_WRONG_LOGIN):
        return ConfigError(
            f"{place}: wrong password, or the role may not log in ({message}): check the user, "
            "and DB_PASS or DB_PASS_SECRET"
        )
    if state == _NO_DATABASE:
        return ConfigError(f"{place}: there is no such database: check its name")
    return ConfigError(f"{place}: the server refused: {message}")


def _is_network(error: Exception) -> bool:
    """pg8000 raises an InterfaceError from the operating system's error."""
    is_driver = isinstance(error, pg8000.InterfaceError)
    return isinstance(error, OSError) or (is_driver and isinstance(error.__cause__, OSError))
