"""A query and its settings in one round trip.

pg8000 asks three times for a statement with values, and once more for BEGIN, for ROLLBACK and for
each setting. Here all messages leave together and end with one Sync. Outside of a transaction the
server makes a transaction of them, which Sync ends, and the settings with it. The statements have
no name, so that they work behind a pooler that gives each transaction another server.

Reference: PostgreSQL, "Extended Query" and "Pipelining" in "Message Flow".
"""

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import pg8000
import sqlalchemy as sa
from pg8000.core import Context

_BINARY, _TEXT = 1, 0
_DESCRIBE = b"D\0\0\0\x06P\0"
_EXECUTE = b"E\0\0\0\x09\0\0\0\0\0"
_SYNC = b"S\0\0\0\x04"


def ask(
    connection: sa.Connection, sql: str, values: Sequence[bytes], settings: Mapping[str, str]
) -> list[list[Any]]:
    """The rows of `sql`, whose $1, $2, … are `values` in the binary format of their types.

    `settings` hold until the end of the transaction, and for `sql` first. Raises pg8000's errors;
    the connection is invalidated unless the server has answered.
    """
    messages: list[bytes] = []
    if settings:
        names = [text.encode() for setting in settings.items() for text in setting]
        calls = (f"set_config(${n}, ${n + 1}, true)" for n in range(1, len(names), 2))
        messages = _statement(f"select {', '.join(calls)}", names, describe=False)
    messages += [*_statement(sql, values, describe=True), _SYNC]
    driver: Any = connection.connection.dbapi_connection
    context = Context(sql, columns=[])
    try:
        driver._sock.write(b"".join(messages))  # pg8000 has no public name for it
        driver._sock.flush()
        driver.handle_messages(context)
    except pg8000.DatabaseError:  # the server's answer
        raise
    except BaseException as error:
        connection.invalidate(error)
        if isinstance(error, OSError):
            raise pg8000.InterfaceError("network error") from error  # as pg8000 words it
        raise
    rows: list[list[Any]] = context.rows
    return rows[1:] if settings else rows


def ask_alone(
    connection: sa.Connection, sql: str, values: Sequence[bytes], settings: Mapping[str, str]
) -> list[list[Any]]:
    """As `ask`, in a transaction of its own, which the server ends whatever becomes of this
    process: its locks last for as long as the statement. What `connection` has begun is rolled
    back."""
    connection.rollback()
    connection.connection.rollback()  # pg8000: the pool's ping has opened a transaction
    return ask(connection, sql, values, settings)


def integer(value: int) -> bytes:
    """Of a bigint."""
    return struct.pack(">q", value)


def number(value: float) -> bytes:
    """Of a float8."""
    return struct.pack(">d", value)


def _statement(sql: str, values: Sequence[bytes], describe: bool) -> list[bytes]:
    """Parse, Bind, perhaps Describe, and Execute; rows are answered as text."""
    parse = [b"\0", sql.encode(), b"\0", struct.pack(">h", 0)]
    bind = [b"\0\0", struct.pack(">hhh", 1, _BINARY, len(values))]
    for value in values:
        bind += (struct.pack(">i", len(value)), value)
    bind.append(struct.pack(">hh", 1, _TEXT))
    return [
        *_message(b"P", parse), *_message(b"B", bind), _DESCRIBE if describe else b"", _EXECUTE,
    ]  # fmt: skip


def _message(kind: bytes, body: list[bytes]) -> list[bytes]:
    return [kind + struct.pack(">i", sum(map(len, body)) + 4), *body]
