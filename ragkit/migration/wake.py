"""Waiting for rows to become pending: NOTIFY from the table's trigger, polling as the fallback."""

import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database import autocommit
from ragkit.migration.subject import Migration

CHANNEL = "ragkit"
POLL_SECONDS = 5.0
SLICE_SECONDS = 0.25
"""How often a waiting follower looks whether it is to stop."""


@contextmanager
def listening(migration: Migration) -> Iterator[Callable[[threading.Event], None]]:
    """A function that returns when something was written, POLL_SECONDS passed or `stop` is set."""
    with autocommit(migration.engine) as connection:
        connection.detach()
        connection.exec_driver_sql(f"listen {CHANNEL}")
        yield lambda stop: _wait(connection, stop)


def _wait(connection: sa.Connection, stop: threading.Event) -> None:
    driver = connection.connection.dbapi_connection
    deadline = time.monotonic() + POLL_SECONDS
    while time.monotonic() < deadline and not stop.is_set():
        # pg8000 has no call that waits: look at its socket, and let a statement read it.
        ready, _, _ = select.select([driver._usock], [], [], SLICE_SECONDS)
        if ready:
            try:
                connection.exec_driver_sql("select 1")
            except DBAPIError:
                return  # the server went: whoever works next says so, or finds it back
        if driver.notifications:
            driver.notifications.clear()
            return
