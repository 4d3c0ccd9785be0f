"""Schema statements on a live table, never queued behind an old transaction.

A statement that waits for its lock makes every later one wait too. So none is started while an old
transaction holds the table, and one that has to wait gives up after a moment: longer each time, but
never longer than `lock_timeout_ms`.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.translate import LOCK_NOT_AVAILABLE, sqlstate
from ragkit.errors import DatabaseError
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import TREE
from ragkit.retry import table_lock

OLD_SECONDS = 0.1
"""A transaction of this age may last; a younger one is about to end."""
HALVINGS = 3
"""The first attempt waits lock_timeout / 2³, the next one twice as long, and so on."""
_HOLDERS = sa.text(f"""{TREE}
    select a.pid, l.virtualtransaction as transaction,
           case when bool_or(l.mode = 'ShareUpdateExclusiveLock')
                then 'a VACUUM, ANALYZE or an index build of '
                else '' end || coalesce(a.usename, a.backend_type, 'another role') as role,
           extract(epoch from clock_timestamp() - a.xact_start) as seconds
    from pg_locks l join pg_stat_activity a using (pid)
    where l.relation in (select oid from tree) and l.granted and a.pid <> pg_backend_pid()
    group by a.pid, l.virtualtransaction, a.usename, a.backend_type, a.xact_start
    order by a.pid
""")


class _TableHeld(Exception):
    """An old transaction holds the table: nothing was tried."""


def run_online(migration: Migration, change: Callable[[sa.Connection], None]) -> None:
    """Runs `change` in one short transaction that waits for a lock `lock_timeout_ms` at most.

    Raises DatabaseError after `ddl_seconds`, naming the transactions that hold the table.
    """
    settings, number = migration.plan.database, 0
    try:
        for attempt in table_lock(_is_blocked, settings.ddl_seconds):
            with attempt:
                _require_no_old_transaction(migration)
                number += 1
                wait_ms = settings.lock_timeout_ms >> max(0, HALVINGS + 1 - number)
                _attempt(migration, change, max(1, wait_ms))
    except (DBAPIError, _TableHeld) as error:
        if not _is_blocked(error):
            raise
        raise DatabaseError(
            f"the table was locked by others for {settings.ddl_seconds:g} s: "
            f"{_describe(_holders(migration))}; end these transactions (pg_stat_activity shows "
            "them) and run this step again; nothing was changed"
        ) from None


def _require_no_old_transaction(migration: Migration) -> None:
    """Raises _TableHeld. Of the other roles' transactions, and autovacuum's, only the locks can be
    seen without pg_monitor: one that is there twice is old."""
    holders = _holders(migration)
    if any((holder.seconds or 0) > OLD_SECONDS for holder in holders):
        raise _TableHeld
    if hidden := {holder.transaction for holder in holders if holder.seconds is None}:
        time.sleep(OLD_SECONDS)
        if hidden & {holder.transaction for holder in _holders(migration)}:
            raise _TableHeld


def _attempt(
    migration: Migration, change: Callable[[sa.Connection], None], milliseconds: int
) -> None:
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(f"set local lock_timeout = {milliseconds:d}")
        change(connection)


def _holders(migration: Migration) -> Sequence[sa.Row[Any]]:
    with migration.engine.connect() as connection:
        return connection.execute(_HOLDERS, {"table": migration.quoted_table}).all()


def _describe(holders: Sequence[sa.Row[Any]]) -> str:
    return ", ".join(
        f"pid {h.pid} ({h.role}, in a transaction for "
        f"{'an unknown time' if h.seconds is None else f'{h.seconds:.0f} s'})"
        for h in holders
    ) or "the transaction has ended by now"  # fmt: skip


def _is_blocked(error: BaseException) -> bool:
    return isinstance(error, _TableHeld) or (
        isinstance(error, DBAPIError) and sqlstate(error) == LOCK_NOT_AVAILABLE
    )
