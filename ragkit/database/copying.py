"""COPY FROM STDIN by PostgreSQL's simple protocol.

pg8000's own way prepares the statement first: a round trip more, and outside of a transaction a
pooler in transaction mode may prepare it in one session and run it in another. It also sends a
Sync behind the data, which pgbouncer takes for one that is ignored: its answer goes astray.
"""

from collections import deque
from typing import Any

import sqlalchemy as sa
from pg8000 import core


def copy_from(connection: sa.Connection, statement: str, data: bytes) -> int:
    """Sends `data` to a COPY … FROM STDIN. Returns how many notices the server sent meanwhile.

    Raises pg8000's errors, as a driver connection does.
    """
    driver: Any = connection.connection.dbapi_connection
    driver.notices = deque()  # pg8000's own keeps a hundred
    handlers = driver.message_types
    own = handlers[core.COPY_IN_RESPONSE]

    def send(*_: object) -> None:
        """As one message, which the server takes whole before it answers."""
        driver._send_message(core.COPY_DATA, data)
        core._write(driver._sock, core.COPY_DONE_MSG)
        core._flush(driver._sock)

    handlers[core.COPY_IN_RESPONSE] = send
    try:
        driver.execute_simple(statement)
    finally:
        handlers[core.COPY_IN_RESPONSE] = own
    return len(driver.notices)
