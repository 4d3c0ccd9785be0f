"""One operator at a time: steps that must not run beside one another.

A claim is a session-level advisory lock, as those of the backfill's stripes: it holds no
transaction, and ends with its process. Backfills and followers need none; they share the work.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.engine import autocommit
from ragkit.database.translate import LOCK_NOT_AVAILABLE, sqlstate, translate_errors
from ragkit.errors import PhaseError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration

LOCK_CLASS = 7_241_546
"""The first number of our advisory locks; the second one is the migration."""
NAME_BYTES = 63
"""Of an application_name."""

WAIT_MS = 1000
"""For a claim that is about to end, such as that of a process just killed."""

_CLAIM = sa.text("select pg_advisory_lock(:class, hashtext(:migration))")
_RELEASE = sa.text("select pg_advisory_unlock(:class, hashtext(:migration))")
_HOLDER = sa.text("""
    select a.application_name as step, a.usename as role, a.pid, a.backend_start as since
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objsubid = 2
      and l.database = (select oid from pg_database where datname = current_database())
      and l.classid = cast(:class as oid)
      and l.objid = cast(hashtext(:migration)::bigint & 4294967295 as oid)
""")


@contextmanager
def exclusive(migration: Migration, step: str) -> Iterator[None]:
    """Claims the migration for `step` while the block runs.

    Raises PhaseError, which names the other operator's step, or DatabaseError.
    """
    key = {"class": LOCK_CLASS, "migration": migration.id}
    name = f"ragkit {step} by {ledger.actor()}"[:NAME_BYTES]
    with ExitStack() as stack:
        with translate_errors(step):
            connection = stack.enter_context(autocommit(migration.engine))
            connection.detach()  # closed at the end, which releases the lock in any case
            settings = {"application_name": name, "lock_timeout": str(WAIT_MS)}
            for setting, value in settings.items():
                connection.execute(sa.select(sa.func.set_config(setting, value, False)))
            if not _claim(connection, key):
                holder = connection.execute(_HOLDER, key).first()
                raise PhaseError(f"{step} is refused: {_describe(holder)}; nothing was changed")
        try:
            yield
        finally:
            with suppress(DBAPIError):  # a broken connection has released it
                connection.execute(_RELEASE, key)


def _claim(connection: sa.Connection, key: dict[str, object]) -> bool:
    """False when another session holds it for longer than WAIT_MS."""
    try:
        connection.execute(_CLAIM, key)
    except DBAPIError as error:
        if sqlstate(error) == LOCK_NOT_AVAILABLE:
            return False
        raise
    return True


def _describe(holder: "sa.Row[tuple[str, str, int, object]] | None") -> str:
    if holder is None:
        return "another step was running; run this again"
    return (
        f"{holder.step!r} is running (role {holder.role}, pid {holder.pid}, "
        f"since {holder.since:%H:%M:%S %Z}); wait for its end"
    )
