"""Jobs of a provider's batch API: the rows that are in them are in no range and not in the queue.

prepared ─► submitting ─► submitted ─► running ─► done
                                               └► failed (its rows are in a new job, or queued)

A job is one worker's while it does something with it, as a range is. What a job was sent is
recorded before it is submitted, under a label by which the provider finds it again.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import Model
from ragkit.migration.migration import Migration
from ragkit.migration.work.tables import BATCH_JOB
from ragkit.migration.work.workers import is_alive

PREPARED, SUBMITTING, SUBMITTED, RUNNING = "prepared", "submitting", "submitted", "running"
DONE, FAILED = "done", "failed"
AT_THE_PROVIDER = (SUBMITTED, RUNNING)
OPEN = (PREPARED, SUBMITTING, *AT_THE_PROVIDER)


@dataclass(frozen=True)
class Job:
    """`digests` are those of the texts of `keys` that were sent last; `failures`: how often in a
    row these rows were in a job that brought nothing."""

    id: str
    state: str
    remote: str | None
    keys: list[str]
    digests: list[str] | None
    bytes: int
    usd: float
    attempt: int
    failures: int
    created_at: datetime

    @property
    def label(self) -> str:
        """What the provider knows it by."""
        return f"ragkit-{self.id}-{self.attempt}"


@dataclass(frozen=True)
class JobCounts:
    """Jobs by their state, those that are submitted or failed in this migration so far, and the
    `rows` in those that have not ended."""

    prepared: int = 0
    submitted: int = 0
    running: int = 0
    done: int = 0
    failed: int = 0
    rows: int = 0

    @property
    def open(self) -> int:
        return self.prepared + self.at_the_provider

    @property
    def at_the_provider(self) -> int:
        return self.submitted + self.running

    def __str__(self) -> str:
        counts = {name: getattr(self, name) for name in ("prepared", "submitted", "running")}
        counts |= {DONE: self.done, FAILED: self.failed}
        told = ", ".join(f"{number:,} {name}" for name, number in counts.items() if number)
        return told + (f"; {self.rows:,} rows in jobs" if self.rows else "")


NO_JOBS = JobCounts()


def exist(connection: sa.Connection) -> bool:
    """Whether this database has the table: a migration that an earlier version began may not."""
    found = sa.select(sa.func.to_regclass(f"{BATCH_JOB.schema}.{BATCH_JOB.name}"))
    return connection.scalar(found) is not None


def are_open(connection: sa.Connection, migration: Migration) -> bool:
    """Whether rows of this migration are in a job."""
    is_any = sa.exists().where(_of(migration), BATCH_JOB.c.state.in_(OPEN))
    return exist(connection) and bool(connection.scalar(sa.select(is_any)))


def reserved_usd(connection: sa.Connection, migration: Migration) -> float:
    """What the jobs that were submitted and have not ended may cost, of this migration and of the
    siblings that share its budget."""
    if not exist(connection):
        return 0.0
    query = sa.select(sa.func.sum(BATCH_JOB.c.usd))
    ids = [plan.migration_id for plan in (migration.plan, *migration.plan.siblings)]
    query = query.where(BATCH_JOB.c.migration.in_(ids), BATCH_JOB.c.state.in_(OPEN))
    return float(connection.scalar(query) or 0)


def count(connection: sa.Connection, migration: Migration) -> JobCounts:
    if not exist(connection):
        return NO_JOBS
    rows = sa.func.sum(BATCH_JOB.c.rows)
    query = sa.select(BATCH_JOB.c.state, sa.func.count(), rows).where(_of(migration))
    found = {state: (jobs, n) for state, jobs, n in connection.execute(query.group_by("state"))}
    jobs = {state: number for state, (number, _) in found.items()}
    submitted = jobs.pop(SUBMITTING, 0) + jobs.pop(SUBMITTED, 0)
    rows_in = sum(int(n) for state, (_, n) in found.items() if state in OPEN)
    return JobCounts(**jobs, submitted=submitted, rows=rows_in)


def tokens_a_byte(connection: sa.Connection, migration: Migration, model: Model) -> float | None:
    """As this model's jobs were counted so far; None before the first one."""
    sums = sa.select(sa.func.sum(BATCH_JOB.c.tokens), sa.func.sum(BATCH_JOB.c.bytes)).where(
        _of(migration), BATCH_JOB.c.model == model.name, BATCH_JOB.c.state == DONE
    )
    tokens, size = connection.execute(sums).one()
    return float(tokens / size) if tokens and size else None


def add(
    connection: sa.Connection,
    migration: Migration,
    model: Model,
    keys: Sequence[str],
    size: int,
    failures: int = 0,
) -> None:
    """A job that is prepared; `size` in bytes of its texts."""
    values = {
        "id": uuid.uuid4().hex, "migration": migration.id, "model": model.name,
        "provider": model.provider, "state": PREPARED, "keys": list(keys), "rows": len(keys),
        "bytes": size, "failures": failures, "created_at": sa.func.clock_timestamp(),
    }  # fmt: skip
    connection.execute(sa.insert(BATCH_JOB).values(values))


def take(
    migration: Migration, worker: str, states: Sequence[str], rest_seconds: float = 0.0
) -> Job | None:
    """The job in one of `states` that nobody has looked at for longest, at least `rest_seconds`,
    for this worker; None when there is none. Raises DatabaseError."""
    now = sa.func.clock_timestamp()
    rested = now - sa.func.make_interval(0, 0, 0, 0, 0, 0, rest_seconds)
    worker_of, looked_at = BATCH_JOB.c.worker, BATCH_JOB.c.looked_at
    first = (
        sa.select(BATCH_JOB.c.id)
        .where(
            _of(migration), BATCH_JOB.c.state.in_(states),
            sa.or_(worker_of.is_(None), worker_of == worker, ~is_alive(worker_of)),
            sa.or_(looked_at.is_(None), looked_at <= rested),
        )
        .order_by(looked_at.nulls_first(), BATCH_JOB.c.created_at, BATCH_JOB.c.id)
        .limit(1)
        .with_for_update(of=BATCH_JOB, skip_locked=True)
    )  # fmt: skip
    columns = (BATCH_JOB.c[name] for name in Job.__dataclass_fields__)
    with translate_errors("taking a job"), migration.engine.begin() as connection:
        if (id := connection.scalar(first)) is None:
            return None
        change = sa.update(BATCH_JOB).where(BATCH_JOB.c.id == id)
        change = change.values(worker=worker, looked_at=now)
        return Job(*connection.execute(change.returning(*columns)).one())


def change(connection: sa.Connection, worker: str, job: Job, /, **values: Any) -> bool:
    """False where it is another worker's by now: this one was frozen for too long."""
    is_ours = BATCH_JOB.c.id == job.id, BATCH_JOB.c.worker == worker
    return connection.execute(sa.update(BATCH_JOB).where(*is_ours).values(values)).rowcount > 0


def forget_failures(connection: sa.Connection, migration: Migration) -> None:
    """Whoever starts a run wants everything tried again."""
    is_open = _of(migration), BATCH_JOB.c.state.in_(OPEN)
    connection.execute(sa.update(BATCH_JOB).where(*is_open).values(failures=0))


def leave(migration: Migration, worker: str, job: Job, **values: Any) -> None:
    """As change, in a transaction of its own: then the job is nobody's. Raises DatabaseError."""
    with translate_errors("recording a job"), migration.engine.begin() as connection:
        change(connection, worker, job, worker=None, **values)


def end(
    connection: sa.Connection, worker: str, job: Job, tokens: int, usd: float, reason: str
) -> bool:
    """As change, for a job of which nothing more is expected."""
    values = {
        "state": FAILED if reason else DONE, "keys": None, "digests": None, "tokens": tokens,
        "usd": usd, "reason": reason, "worker": None, "ended_at": sa.func.now(),
    }  # fmt: skip
    return change(connection, worker, job, **values)


def _of(migration: Migration) -> sa.ColumnElement[bool]:
    return BATCH_JOB.c.migration == migration.id
