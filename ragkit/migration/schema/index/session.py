"""The session that builds, and its claim on the index.

The claim is an advisory lock of the very session that builds: a server process whose client was
killed goes on building, and keeps it. Behind a pooler in transaction mode no session can be kept:
there a second connection holds the claim, by a transaction that has no snapshot, for which CREATE
INDEX CONCURRENTLY does not wait.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.engine import autocommit, engine_from_env
from ragkit.database.translate import translate_errors
from ragkit.database.wire.sockets import wait_without_limit
from ragkit.errors import ConfigError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.schema.index.current import claim_name
from ragkit.migration.schema.index.pooler import keeps_session

TRANSACTION_TIMEOUT_SINCE = 170_000
_SERVER = sa.text("""
    select pg_postmaster_start_time() as started, to_regclass(:table)::oid as table,
           pg_is_in_recovery() as is_standby
""")
_NAME = "ragkit build the index by {actor}"
_LIMITS = ("statement_timeout", "lock_timeout")


class BuildingSession:
    """`connection` is outside of transactions, and waits without a limit. `is_kept`: it is one
    session, whose settings may be set."""

    def __init__(self, connection: sa.Connection, holder: sa.Connection | None, claim: str):
        self.connection, self.is_kept = connection, holder is None
        self._holder, self._claim, self._is_held = holder, claim, False

    def claim(self) -> bool:
        """Takes the claim if it is free, and tells whether this session has it."""
        if not self._is_held:
            key = sa.func.hashtextextended(self._claim, 0)
            if self._holder is None:
                lock = sa.select(sa.func.pg_try_advisory_lock(key))
                self._is_held = bool(self.connection.scalar(lock))
            else:
                _begin_without_snapshot(self._holder)
                lock = sa.select(sa.func.pg_try_advisory_xact_lock(key))
                self._is_held = bool(self._holder.scalar(lock))
                if self._is_held:
                    self.keep_alive()  # the query's portal has a snapshot until the next one
                else:
                    self._holder.rollback()
        return self._is_held

    def keep_alive(self) -> None:
        """For a pooler that ends idle transactions. SHOW takes no snapshot. If the claim is lost,
        the progress of the build still shows it to others."""
        if self._holder is not None:
            with suppress(DBAPIError):
                self._holder.exec_driver_sql("show transaction_isolation")


@contextmanager
def building_session(migration: Migration) -> Iterator[BuildingSession]:
    """On database.direct where there is one. Raises ConfigError when that leads elsewhere, or
    DatabaseError."""
    with ExitStack() as stack:
        with translate_errors("building the index"):
            engine = _direct_engine(migration, stack) or migration.engine
            is_kept = keeps_session(engine)
            connection = stack.enter_context(autocommit(engine))
            connection.detach()
            wait_without_limit(connection)
            if is_kept:
                _prepare(connection)
            else:
                _require_no_limits(connection)
            holder = None if is_kept else stack.enter_context(engine.connect())
            if holder is not None:
                holder.detach()
                holder.connection.rollback()  # the pool's ping has opened a transaction
        yield BuildingSession(connection, holder, claim_name(migration))


def _prepare(connection: sa.Connection) -> None:
    """A session of its own, which is closed afterwards: its settings affect nobody else."""
    name = _NAME.format(actor=ledger.actor())[:63]
    connection.execute(sa.select(sa.func.set_config("application_name", name, False)))
    for limit in _LIMITS:  # the role's would end the build
        connection.exec_driver_sql(f"set {limit} = 0")


def _require_no_limits(connection: sa.Connection) -> None:
    for limit in _LIMITS:
        value = connection.exec_driver_sql(f"show {limit}").scalar()  # no values: see autocommit
        if value != "0":
            raise ConfigError(
                f"{limit} is {value}, which would end the index build, and behind a pooler in "
                "transaction mode it cannot be changed: set database.direct to a URL that leads "
                "past the pooler, or raise the limit of the role"
            )


def _begin_without_snapshot(connection: sa.Connection) -> None:
    """Until its first query, and again after it: only a transaction of READ COMMITTED does that,
    and only by settings of its own does it end when the build does."""
    run = connection.exec_driver_sql
    run("set transaction isolation level read committed")
    run("set local idle_in_transaction_session_timeout = 0")
    version = connection.scalar(sa.select(sa.func.current_setting("server_version_num")))
    if int(version or 0) >= TRANSACTION_TIMEOUT_SINCE:
        run("set local transaction_timeout = 0")


def _direct_engine(migration: Migration, stack: ExitStack) -> sa.Engine | None:
    """Of database.direct; None where it is empty."""
    url = migration.plan.database.direct
    if url == "env":
        url = os.environ.get("DATABASE_DIRECT_URL", "")
        if not url:
            raise ConfigError("database.direct is env: set DATABASE_DIRECT_URL")
    if not url:
        return None
    engine = engine_from_env({**os.environ, "DATABASE_URL": url})
    stack.callback(engine.dispose)
    with engine.connect() as direct, migration.engine.connect() as usual:
        seen = [
            c.execute(_SERVER, {"table": migration.quoted_table}).one() for c in (direct, usual)
        ]
    if seen[0] != seen[1]:
        raise ConfigError(
            "database.direct leads to another server or database than database.url, or to a "
            "standby: both must lead to the same one; nothing was changed"
        )
    return engine
