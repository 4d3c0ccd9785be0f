"""Whether a connection leads to one session of the server, or to a pooler in transaction mode."""

import struct
from typing import Any

import sqlalchemy as sa

from ragkit.database.engine import autocommit

ROUNDS = 3


def keeps_session(engine: sa.Engine) -> bool:
    """False behind a pooler that gives each transaction another session of the server: there, SET
    and session advisory locks reach whoever comes next.

    A server tells each client its process id; a pooler tells one that it has made up. Then the
    mode is tried: what a client in transaction mode has just left, the next one gets.
    """
    with autocommit(engine) as first:
        if _told_pid(first) == _pid(first):
            return True
        for _ in range(ROUNDS):
            left = _pid(first)
            with engine.connect() as second:
                if left in (_pid(second), None) or _pid(first) != left:
                    return False
    return True


def _told_pid(connection: sa.Connection) -> int | None:
    """From the start of the connection (BackendKeyData)."""
    driver: Any = connection.connection.dbapi_connection
    data: bytes | None = driver._backend_key_data  # pg8000 has no public name for it
    return struct.unpack_from("!i", data)[0] if data else None


def _pid(connection: sa.Connection) -> int | None:
    pid: int | None = connection.scalar(sa.select(sa.func.pg_backend_pid()))
    return pid
