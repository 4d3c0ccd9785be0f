"""Advisory locks as claims, and the sessions that hold them.

A claim is held by a session: it needs no open transaction, blocks no row, and ends with its
process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from ragkit.database.engine import autocommit

NAME_BYTES = 63
"""Of an application_name."""

_HOLDERS = sa.text("""
    select a.application_name as name, a.usename as role, a.pid, a.backend_start as since
    from pg_locks l join pg_stat_activity a using (pid)
    where l.locktype = 'advisory' and l.granted and l.objsubid = 1
      and l.database = (select oid from pg_database where datname = current_database())
      and ((l.classid::bigint << 32) | l.objid::bigint)
          in (select hashtextextended(:claim, part) from generate_series(0, :parts - 1) part)
    group by 1, 2, 3, 4 order by since, pid
""")


@dataclass(frozen=True)
class Holder:
    """A session that holds a claim. `since` is its start; None when this role may not see it."""

    name: str
    role: str
    pid: int
    since: datetime | None

    def __str__(self) -> str:
        since = f", since {self.since:%H:%M:%S %Z}" if self.since else ""
        return f"{self.name!r} (role {self.role}, pid {self.pid}{since})"


@contextmanager
def named_session(engine: sa.Engine, name: str) -> Iterator[sa.Connection]:
    """A session of its own, outside of transactions, that others see by `name`. It is closed at
    the end, which releases what it has claimed in any case."""
    with autocommit(engine) as connection:
        connection.detach()
        connection.execute(
            sa.select(sa.func.set_config("application_name", name[:NAME_BYTES], False))
        )
        yield connection


def claim_key(claim: str, part: int = 0) -> sa.ColumnElement[int]:
    """The number of the advisory lock for a part of a claim."""
    return sa.func.hashtextextended(claim, part)


def claim_holders(connection: sa.Connection, claim: str, parts: int = 1) -> list[Holder]:
    """The sessions that hold any part of a claim, oldest first."""
    rows = connection.execute(_HOLDERS, {"claim": claim, "parts": parts})
    return [Holder(**row) for row in rows.mappings()]
