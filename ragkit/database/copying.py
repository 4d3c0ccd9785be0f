"""COPY FROM STDIN by PostgreSQL's simple protocol.

pg8000's own way prepares the statement first: a round trip more, and outside of a transaction a
pooler in transaction mode may prepare it in one session and run it in another.
"""

from collections import deque
from collections.abc import Iterator
from typing import Any

import pg8000
import sqlalchemy as sa
from pg8000.core import Context


def copy_from(connection: sa.Connection, statement: str, data: bytes) -> int:
    """Sends `data` to a COPY … FROM STDIN. Returns how many notices the server sent meanwhile.

    Raises pg8000's errors, as a driver connection does.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.notices = deque()  # pg8000's own keeps a hundred
    is_sent = False

    def stream() -> Iterator[bytes]:
        nonlocal is_sent
        is_sent = True
        yield data

    context = Context(statement, stream=stream())
    driver.send_QUERY(statement)
    driver._sock.flush()
    try:
        driver.handle_messages(context)
    except pg8000.DatabaseError:
        if is_sent:
            _finish(driver)
        raise
    _finish(driver)
    return len(driver.notices)


def _finish(driver: Any) -> None:
    """pg8000 sends a Sync behind the data, which the server answers on its own."""
    driver.handle_messages(Context(None))
