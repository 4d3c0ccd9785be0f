"""Schema statements on a live table: never in the queue behind an old transaction.

A statement that waits for its lock makes everyone behind it wait too. So nothing is begun while
a transaction is seen that holds the table for long, and what waits all the same gives up after a
moment, a longer one each time, lock_timeout at most.
"""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ragkit.database import quoted, sqlstate
from ragkit.errors import DatabaseError
from ragkit.migration.subject import Migration

_LOCK_NOT_AVAILABLE = "55P03"
OLD_SECONDS = 0.1
"""A transaction of this age may well go on; a younger one is about to end."""
HALVINGS = 3
"""The first turn waits lock_timeout / 2³, the next one twice as long, and so on."""
_HOLDERS = sa.text("""
    select distinct a.pid, coalesce(a.usename, a.backend_type, 'another role') as role,
           extract(epoch from clock_timestamp() - a.xact_start) as seconds
    from pg_locks l join pg_stat_activity a using (pid)
    where l.relation = to_regclass(:table) and l.granted and a.pid <> pg_backend_pid()
    order by a.pid
""")


class _Held(Exception):
    """An old transaction holds the table: nothing was tried."""


def online(migration: Migration, change: Callable[[sa.Connection], None]) -> None:
    """Runs `change` in one short transaction that waits for a lock `lock_timeout_ms` at most.

    Raises DatabaseError after `ddl_seconds` of trying, naming who holds the table.
    """
    attempts = Retrying(
        retry=retry_if_exception(_blocked),
        wait=wait_random_exponential(multiplier=0.1, max=1),
        stop=stop_after_delay(migration.plan.ddl_seconds),
        reraise=True,
    )
    turn = 0
    try:
        for attempt in attempts:
            with attempt:
                _step_aside(migration)
                turn += 1
                _attempt(migration, change, turn)
    except (DBAPIError, _Held) as error:
        if not _blocked(error):
            raise
        raise DatabaseError(
            f"the table was locked by others for {migration.plan.ddl_seconds:g} s: "
            f"{_named(_holders(migration))}; end these transactions (pg_stat_activity shows them) "
            "and run this step again; nothing was changed"
        ) from None


def _step_aside(migration: Migration) -> None:
    """Raises _Held. A role that may not see the others' transactions finds none."""
    if any((holder.seconds or 0) > OLD_SECONDS for holder in _holders(migration)):
        raise _Held


def _attempt(migration: Migration, change: Callable[[sa.Connection], None], turn: int) -> None:
    milliseconds = max(1, migration.plan.lock_timeout_ms >> max(0, HALVINGS + 1 - turn))
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(f"set local lock_timeout = {milliseconds:d}")
        change(connection)


def _holders(migration: Migration) -> list[sa.Row]:
    table = quoted(migration.plan.table_schema, migration.plan.table)
    with migration.engine.connect() as connection:
        return list(connection.execute(_HOLDERS, {"table": table}))


def _named(holders: list[sa.Row]) -> str:
    return ", ".join(
        f"pid {h.pid} ({h.role}, in a transaction for "
        f"{'an unknown time' if h.seconds is None else f'{h.seconds:.0f} s'})"
        for h in holders
    ) or "the holder is gone by now"  # fmt: skip


def _blocked(error: BaseException) -> bool:
    return isinstance(error, _Held) or (
        isinstance(error, DBAPIError) and sqlstate(error) == _LOCK_NOT_AVAILABLE
    )
