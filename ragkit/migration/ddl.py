"""Schema statements on a live table: a short lock_timeout, and again with jitter."""

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from tenacity import Retrying, retry_if_exception, stop_after_delay, wait_random_exponential

from ragkit.database import quoted, sqlstate
from ragkit.errors import DatabaseError
from ragkit.migration.subject import Migration

_LOCK_NOT_AVAILABLE = "55P03"
_HOLDERS = sa.text("""
    select distinct a.pid, coalesce(a.usename, 'another role') as role,
           coalesce(round(extract(epoch from now() - a.xact_start))::text || ' s', 'unknown') as age
    from pg_locks l join pg_stat_activity a using (pid)
    where l.relation = to_regclass(:table) and l.granted and a.pid <> pg_backend_pid()
    order by a.pid
""")


def online(migration: Migration, change: Callable[[sa.Connection], None]) -> None:
    """Runs `change` in one short transaction that waits for a lock `lock_timeout_ms` at most:
    a statement that waits makes everyone behind it wait too.

    Raises DatabaseError after `ddl_seconds` of trying, naming who holds the table.
    """
    attempts = Retrying(
        retry=retry_if_exception(_blocked),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(migration.plan.ddl_seconds),
        reraise=True,
    )
    try:
        attempts(_attempt, migration, change)
    except DBAPIError as error:
        if not _blocked(error):
            raise
        raise DatabaseError(
            f"the table was locked by others for {migration.plan.ddl_seconds:g} s: "
            f"{_holders(migration)}; end these transactions (pg_stat_activity shows them) and run "
            "this step again; nothing was changed"
        ) from None


def _attempt(migration: Migration, change: Callable[[sa.Connection], None]) -> None:
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(f"set local lock_timeout = {migration.plan.lock_timeout_ms:d}")
        change(connection)


def _holders(migration: Migration) -> str:
    table = quoted(migration.plan.table_schema, migration.plan.table)
    with migration.engine.connect() as connection:
        rows = connection.execute(_HOLDERS, {"table": table}).all()
    return ", ".join(f"pid {r.pid} ({r.role}, in a transaction for {r.age})" for r in rows) or (
        "the holder is gone by now"
    )


def _blocked(error: BaseException) -> bool:
    return isinstance(error, DBAPIError) and sqlstate(error) == _LOCK_NOT_AVAILABLE
