"""Stripes of a table, each claimed by one backfill at a time, so that several share the work.

A claim is a session-level advisory lock: it needs no open transaction, blocks nobody's rows, and
ends with its process. Rows are spread over stripes by a hash of the key, so each stripe takes a
few rows of each heap page: what the first ones leave behind is pruned and makes room for the
next, which keeps updates HOT and the old column's index out of it.
"""

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import sqlalchemy as sa

from ragkit.database import autocommit, plain_errors
from ragkit.errors import DatabaseUnavailable
from ragkit.migration.patience import patiently
from ragkit.migration.subject import Migration

MOST = 16


def stripes_for(rows: int, batch_size: int) -> int:
    """A power of two, so that a stripe is some batches long; 1 for a small table."""
    count = 1
    while count < MOST and rows >= 8 * count * batch_size:
        count *= 2
    return count


def in_stripe(migration: Migration, stripe: int, stripes: int) -> sa.ColumnElement[bool]:
    if stripes == 1:
        return sa.true()
    hashed = sa.func.hashtext(sa.cast(migration.key, sa.Text))
    return hashed.op("&")(stripes - 1) == stripe


@contextmanager
def claiming(migration: Migration, stripes: int) -> Iterator[Iterator[int]]:
    """The stripes that nobody else works on, each claimed when it is asked for; all are given
    back together at the end, when what was begun in them is written."""
    with ExitStack() as stack:
        yield _claimed(patiently(_session, stack, migration), migration, stripes)


def _session(stack: ExitStack, migration: Migration) -> sa.Connection:
    with plain_errors("claiming"):
        connection = stack.enter_context(autocommit(migration.engine))
        connection.detach()  # closed at the end, which gives the claims back
    return connection


def _claimed(connection: sa.Connection, migration: Migration, stripes: int) -> Iterator[int]:
    """Ends early when the connection breaks, and its claims with it: the next pass claims anew."""
    for stripe in random.sample(range(stripes), stripes):
        name = sa.func.hashtextextended(f"ragkit {migration.id}", stripe)
        try:
            with plain_errors("claiming"):
                got = connection.scalar(sa.select(sa.func.pg_try_advisory_lock(name)))
        except DatabaseUnavailable:
            return
        if got:
            yield stripe
