"""Broken connections of a pool, without a question to the server before each use.

A server that ends, or ends a session, closes the connection: the pool sees it before it gives the
connection away. What it cannot see, a server that vanished without a word, shows when the answer
does not come; then the question is asked once more, on a new connection.
"""

import select
from collections.abc import Callable
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

T = TypeVar("T")
_USED = "ragkit used"
"""In SQLAlchemy's notes on a connection of the pool."""


def replace_closed(engine: sa.Engine) -> None:
    """A connection of the pool that the server has closed is replaced when it is next needed. One
    that was just made is not looked at: SQLAlchemy replaces a connection once only."""

    @sa.event.listens_for(engine, "checkout")
    def check(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
        if record.info.get(_USED) and _is_closed(connection):
            raise DisconnectionError
        record.info[_USED] = True


def ask_again(engine: sa.Engine, read: Callable[[sa.Connection], T]) -> T:
    """What `read` returns, on a second connection when the first one breaks under it. `read`
    changes nothing. All connections of the pool are as old, so none of them is used again."""
    pool = engine.pool
    with engine.connect() as connection:
        try:
            return read(connection)
        except Exception:
            if not connection.invalidated:
                raise
    if engine.pool is pool:  # no other thread has done so
        engine.dispose()
    with engine.connect() as connection:
        return read(connection)


def _is_closed(connection: Any) -> bool:
    """Whether there is something to read where no answer is due: the server's goodbye."""
    poll = select.poll()
    poll.register(connection._usock, select.POLLIN)  # pg8000 has no public name for it
    return bool(poll.poll(0))
