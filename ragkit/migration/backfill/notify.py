"""Waits for rows to become pending: NOTIFY from the table's trigger, polling as the fallback."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.engine import autocommit
from ragkit.migration.migration import Migration
from ragkit.migration.schema.triggers import CHANNEL

POLL_SECONDS = 5.0
STOP_CHECK_SECONDS = 0.25
"""How often a waiting follower checks whether it is to stop."""


@contextmanager
def listen(migration: Migration) -> Iterator[Callable[[threading.Event], None]]:
    """A function that returns when a row was written, POLL_SECONDS passed or `stop` is set."""
    with autocommit(migration.engine) as connection:
        connection.detach()
        connection.exec_driver_sql(f"listen {CHANNEL}")
        yield lambda stop: _wait(connection, stop)


def _wait(connection: sa.Connection, stop: threading.Event) -> None:
    driver: Any = connection.connection.dbapi_connection
    deadline = time.monotonic() + POLL_SECONDS
    while time.monotonic() < deadline and not stop.is_set():
        # pg8000 has no call that waits: watch its socket, and let a statement read from it.
        ready, _, _ = select.select([driver._usock], [], [], STOP_CHECK_SECONDS)
        if ready:
            try:
                connection.exec_driver_sql("select 1")
            except DBAPIError:
                return  # the connection broke: the caller's next statement reconnects or fails
        if driver.notifications:
            driver.notifications.clear()
            return
