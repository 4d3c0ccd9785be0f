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
    place = describe(engine.url)

    @sa.event.listens_for(engine, "do_connect")
    def connect(dialect: Any, _: object, args: list[Any], options: dict[str, Any]) -> Any:
        try:
            return dialect.connect(*args, **options)
        except Exception as error:  # a driver without a password fails in its own code
            has_password = options.get("password") is not None
            raise explain(place, error, remedy, has_password=has_password) from None


def describe(url: URL) -> str:
    """Such as "database 'd' at db.example.com:5432", never with the password."""
    host = url.host or (url.query and "a Unix socket") or "localhost"
    port = f":{url.port or 5432}" if url.host or not url.query else ""
    return f"database {url.database!r} at {host}{port}"


def explain(place: str, error: Exception, remedy: str, *, has_password: bool = True) -> RagkitError:
    """The reason why `place` gave no connection. A driver's own words are left out: only the
    server's are known to hold no secret."""
    if isinstance(error, RagkitError):
        return error
    fields = server_fields(error)
    state = fields.get("C", "")
    if state.startswith(_WRONG_LOGIN):
        return ConfigError(
            f"{place}: wrong password, or the role may not log in ({fields.get('M', state)}): "
            "check the user, and DB_PASS or DB_PASS_SECRET"
        )
    if state == _NO_DATABASE:
        return ConfigError(f"{place}: there is no such database: check its name")
    if state and not is_unavailable(error):
        return ConfigError(f"{place}: refused: {fields.get('M', state)}")
    if state:
        return DatabaseUnavailable(f"{place}: {fields.get('M', state)}")
    if not has_password and not _is_network(error):
        return ConfigError(f"{place} asks for a password: set DB_PASS or DB_PASS_SECRET")
    return DatabaseUnavailable(f"{place} cannot be reached: {remedy}")


def _is_network(error: Exception) -> bool:
    """pg8000 raises an InterfaceError from the operating system's error."""
    is_driver = isinstance(error, pg8000.InterfaceError)
    return isinstance(error, OSError) or (is_driver and isinstance(error.__cause__, OSError))
