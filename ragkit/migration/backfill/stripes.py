"""Stripes of a table, each claimed by one backfill at a time, so that several share the work.

A claim is a session-level advisory lock: it needs no open transaction, blocks no row, and ends
with its process. Rows are assigned to stripes by a hash of the key, so that each stripe takes a
few rows of each heap page: what the first stripes leave behind is pruned and makes room for the
next ones, which keeps updates HOT and the old column's index untouched.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import sqlalchemy as sa

from ragkit.database.engine import autocommit
from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseUnavailable
from ragkit.migration.migration import Migration
from ragkit.retry import retry_database

MAX_STRIPES = 16


def stripe_count(rows: int, batch_size: int) -> int:
    """A power of two, so that a stripe has several batches; 1 for a small table."""
    count = 1
    while count < MAX_STRIPES and rows >= 8 * count * batch_size:
        count *= 2
    return count


def in_stripe(migration: Migration, stripe: int, stripes: int) -> sa.ColumnElement[bool]:
    """True for the rows of a stripe."""
    if stripes == 1:
        return sa.true()
    return sa.func.hashtext(migration.key_text).op("&")(stripes - 1) == stripe


@contextmanager
def claim_stripes(migration: Migration, stripes: int) -> Iterator[Iterator[int]]:
    """The stripes that no other backfill works on. Each is claimed when it is asked for; all are
    released together at the end, when their rows are written."""
    with ExitStack() as stack:
        connection = retry_database(_open_session, stack, migration)
        yield _claim_each(connection, migration, stripes)


def _open_session(stack: ExitStack, migration: Migration) -> sa.Connection:
    with translate_errors("claiming stripes"):
        connection = stack.enter_context(autocommit(migration.engine))
        connection.detach()  # closed at the end, which releases the locks
    return connection


def _claim_each(connection: sa.Connection, migration: Migration, stripes: int) -> Iterator[int]:
    """Ends early when the connection breaks, and its locks with it: the next pass claims again."""
    for stripe in random.sample(range(stripes), stripes):
        name = sa.func.hashtextextended(f"ragkit {migration.id}", stripe)
        try:
            with translate_errors("claiming stripes"):
                claimed = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(name)))
        except DatabaseUnavailable:
            return
        if claimed:
            yield stripe
