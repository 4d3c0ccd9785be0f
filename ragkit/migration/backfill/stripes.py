"""Stripes of a table, each claimed by one backfill at a time, so that several share the work.

Rows are assigned to stripes by a hash of the key, so that each stripe takes a few rows of each
heap page: what the first stripes leave behind is pruned and makes room for the next ones, which
keeps updates HOT and the old column's index untouched.
"""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import sqlalchemy as sa

from ragkit.database.sessions import Holder, claim_holders, claim_key, named_session
from ragkit.database.translate import translate_errors
from ragkit.errors import DatabaseUnavailable, PhaseError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.retry import retry_database

MAX_STRIPES = 16
MIN_WAIT, MAX_WAIT = 0.5, 5.0
"""Seconds between two looks at what others have claimed."""
WARN_SECONDS = 30.0
log = logging.getLogger(__name__)


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


class OtherBackfills:
    """Waits for the backfills that have claimed what is pending, longer each time.

    Those that write nothing are named in the log after WARN_SECONDS, and in an error after
    `patience` seconds: a process that is stopped or frozen keeps its claims.
    """

    def __init__(
        self,
        migration: Migration,
        stripes: int,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._migration, self._stripes, self._patience = migration, stripes, patience
        self._sleep, self._clock = sleep, clock
        self._pending, self._since, self._warned, self._pause = -1, clock(), False, MIN_WAIT

    def wait(self, pending: int) -> None:
        """Raises PhaseError, which names them, when `pending` has not changed for too long."""
        if pending != self._pending:
            self._pending, self._since = pending, self._clock()
            self._warned, self._pause = False, MIN_WAIT
        seconds = self._clock() - self._since
        due = self._patience if self._warned else min(WARN_SECONDS, self._patience)
        if seconds >= due and (holders := self._holders()):
            self._tell(holders, seconds)
        self._sleep(self._pause)
        self._pause = min(2 * self._pause, MAX_WAIT)

    def _tell(self, holders: list[Holder], seconds: float) -> None:
        names = ", ".join(map(str, holders))
        said = (
            f"{self._pending} rows are claimed by {names}; no row was written for {seconds:.0f} s"
        )
        if seconds >= self._patience:
            pids = ", ".join(f"select pg_terminate_backend({h.pid});" for h in holders)
            raise PhaseError(
                f"{said}: let that process go on (kill -CONT), or end it ({pids}), and run this "
                "again"
            )
        log.warning(said)
        self._warned = True

    def _holders(self) -> list[Holder]:
        with (
            translate_errors("looking for other backfills"),
            self._migration.engine.connect() as connection,
        ):
            return claim_holders(connection, _claim_of(self._migration), self._stripes)


def _claim_of(migration: Migration) -> str:
    return f"ragkit {migration.id}"


def _open_session(stack: ExitStack, migration: Migration) -> sa.Connection:
    with translate_errors("claiming stripes"):
        name = f"ragkit backfill by {ledger.actor()}"
        return stack.enter_context(named_session(migration.engine, name))


def _claim_each(connection: sa.Connection, migration: Migration, stripes: int) -> Iterator[int]:
    """Ends early when the connection breaks, and its locks with it: the next pass claims again."""
    for stripe in random.sample(range(stripes), stripes):
        lock = sa.func.pg_try_advisory_lock(claim_key(_claim_of(migration), stripe))
        try:
            with translate_errors("claiming stripes"):
                claimed = connection.scalar(sa.select(lock))
        except DatabaseUnavailable:
            return
        if claimed:
            yield stripe
