"""Processes at work, as rows that expire: a claim holds while the row of its worker is renewed.

Rows, not locks of a session: behind a pooler in transaction mode each transaction may get another
session. A process that was killed or is frozen loses its claims after LEASE_SECONDS. Only the
database's clock counts.
"""

import logging
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.translate import translate_errors
from ragkit.errors import RagkitError
from ragkit.migration import ledger
from ragkit.migration.work.tables import CLAIM, QUEUE, WORKER
from ragkit.retry import retry_database

LEASE_SECONDS, RENEW_SECONDS = 10.0, 2.5
FORGET_HOURS = 24
"""A row of a worker that was killed is kept for so long."""
_BY = " by "
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Worker:
    """`name` tells the step, the user and the process."""

    name: str
    since: datetime

    def __str__(self) -> str:
        return f"{self.name!r}, since {self.since:%H:%M:%S %Z}"


@contextmanager
def working(engine: sa.Engine, step: str) -> Iterator[str]:
    """The id of a worker that is alive while the block runs; at its end, its claims are free.

    Raises DatabaseError when it cannot be recorded at the start.
    """
    worker, name, ended = uuid.uuid4().hex, f"{step}{_BY}{ledger.actor()}", threading.Event()
    retry_database(_renew, engine, worker, name)
    keeper = threading.Thread(target=_keep, args=(engine, worker, name, ended), daemon=True)
    keeper.start()
    try:
        yield worker
    finally:
        ended.set()
        keeper.join(RENEW_SECONDS)
        with suppress(RagkitError):  # then it expires
            _end(engine, worker)


def is_alive(worker: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether the worker that a row names is still at work."""
    now = sa.func.clock_timestamp()
    return sa.exists().where(WORKER.c.id == worker, WORKER.c.until > now)


def at_work(connection: sa.Connection, migration: str) -> list[Worker]:
    """Those that hold ranges or keys of a migration, oldest first."""
    holds = [
        sa.exists().where(table.c.migration == migration, table.c.worker == WORKER.c.id)
        for table in (CLAIM, QUEUE)
    ]
    query = sa.select(WORKER.c.name, WORKER.c.since).where(
        sa.or_(*holds), WORKER.c.until > sa.func.clock_timestamp()
    )
    return [Worker(*row) for row in connection.execute(query.order_by(WORKER.c.since))]


def count_alive(connection: sa.Connection) -> dict[str, int]:
    """By their step, of all migrations of this database."""
    alive = sa.select(WORKER.c.name).where(WORKER.c.until > sa.func.clock_timestamp())
    names = connection.scalars(alive)
    return dict(Counter(name.partition(_BY)[0].removeprefix("ragkit ") for name in names))


def _keep(engine: sa.Engine, worker: str, name: str, ended: threading.Event) -> None:
    while not ended.wait(RENEW_SECONDS):
        try:
            _renew(engine, worker, name)
        except RagkitError as error:  # away, or no login; others may take the claims over
            log.info("the lease was not renewed: %s", error)


def _renew(engine: sa.Engine, worker: str, name: str) -> None:
    until = sa.func.clock_timestamp() + sa.text(f"interval '{LEASE_SECONDS} seconds'")
    entry = insert(WORKER).values(id=worker, name=name, until=until)
    entry = entry.on_conflict_do_update(index_elements=["id"], set_={"until": until})
    with translate_errors("renewing a lease"), engine.begin() as connection:
        connection.execute(entry)


def _end(engine: sa.Engine, worker: str) -> None:
    old = sa.func.clock_timestamp() - sa.text(f"interval '{FORGET_HOURS} hours'")
    ended = sa.delete(WORKER).where(sa.or_(WORKER.c.id == worker, WORKER.c.until < old))
    with translate_errors("ending a lease"), engine.begin() as connection:
        connection.execute(ended)
