"""One operator at a time: steps that must not run beside one another.

Backfills and followers need no such lease; they share the work. Of the jobs of a migration, one
leads: its first task leases the part that is done once.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.translate import translate_errors
from ragkit.errors import PhaseError
from ragkit.migration.migration import Migration
from ragkit.migration.work.tables import LEASE, WORKER, exist
from ragkit.migration.work.workers import LEASE_SECONDS, Worker, is_alive, working

POLL_SECONDS = 0.25
LEAD = " backfill"
"""Behind the migration's id: the lease of what is done once in a backfill of many processes."""


class Taken(PhaseError):
    """By `holder`, who is at work."""

    def __init__(self, step: str, holder: Worker):
        self.holder = holder
        super().__init__(
            f"{step} is refused: {holder} is running; wait for its end; nothing was changed"
        )


@contextmanager
def exclusive(
    migration: Migration, step: str, *, with_siblings: bool = False, name: str = ""
) -> Iterator[None]:
    """Leases the migration, and its siblings where one app is switched for all of them, or what
    `name` stands for instead, for `step` while the block runs.

    Raises Taken, which names the other operator's step, or DatabaseError. Waits for the lease of a
    process that was killed; before expand there is nothing to lease.
    """
    with translate_errors(step), migration.engine.connect() as connection:
        is_expanded = exist(connection)
    if not is_expanded:
        yield
        return
    plans = (migration.plan, *(migration.plan.siblings if with_siblings else ()))
    names = [name] if name else sorted(plan.migration_id for plan in plans)
    with working(migration.engine, f"ragkit {step}") as worker:
        try:
            # in one order, so that of two operators one gets all
            for leased in names:
                _lease(migration, leased, worker, step)
            yield
        finally:
            with translate_errors(step), migration.engine.begin() as connection:
                connection.execute(sa.delete(LEASE).where(LEASE.c.worker == worker))


def _lease(migration: Migration, name: str, worker: str, step: str) -> None:
    """A holder that is alive renews its row; one that was killed does not, and expires."""
    seen_until, deadline = None, time.monotonic() + 2 * LEASE_SECONDS
    while not _try_to_lease(migration, name, worker, step):
        with translate_errors(step), migration.engine.connect() as connection:
            holds = sa.select(WORKER).join(LEASE, LEASE.c.worker == WORKER.c.id)
            holder = connection.execute(holds.where(LEASE.c.name == name)).first()
        renewed = holder is not None and holder.until != (seen_until := seen_until or holder.until)
        if holder and (renewed or time.monotonic() > deadline):
            raise Taken(step, Worker(holder.name, holder.since))
        time.sleep(POLL_SECONDS)


def _try_to_lease(migration: Migration, name: str, worker: str, step: str) -> bool:
    free = sa.delete(LEASE).where(LEASE.c.name == name, ~is_alive(LEASE.c.worker))
    entry = insert(LEASE).values(name=name, worker=worker).on_conflict_do_nothing()
    with translate_errors(step), migration.engine.begin() as connection:
        connection.execute(free)
        return connection.execute(entry.returning(LEASE.c.name)).first() is not None
