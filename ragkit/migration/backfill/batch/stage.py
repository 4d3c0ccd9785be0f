"""The batches of a backfill, one step at a time: between the steps, what people write is embedded
live.

Jobs are in the database: whoever runs a backfill works on with them, today or tomorrow.
"""

import logging
import time
from collections.abc import Callable, Iterator

from ragkit.database.translate import translate_errors
from ragkit.embedding.batch.protocol import BatchingEmbedder, Look
from ragkit.embedding.embedder import Embedder
from ragkit.errors import BatchLost, BudgetExceeded, ConfigError, ModelBusy
from ragkit.migration.backfill.batch.collecting import Collector
from ragkit.migration.backfill.batch.preparing import prepare
from ragkit.migration.backfill.batch.submitting import Submitter
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS
from ragkit.migration.backfill.throttle import Throttle
from ragkit.migration.backfill.writing.side_writer import open_writer
from ragkit.migration.migration import Migration
from ragkit.migration.work import jobs, queue
from ragkit.migration.work.jobs import Job, JobCounts
from ragkit.migration.work.tables import create_tables
from ragkit.retry import retry_database

POLL_SECONDS = 30.0
"""How often a job is asked for."""
TICK_SECONDS = 1.0
"""How often there is something else to look at."""
FULL_SECONDS = 300.0
"""How long nothing is submitted after the provider has said that too much waits already; until a
job has ended, if that is sooner."""
log = logging.getLogger(__name__)


class BatchStage:
    """`sweeps`: the rows that are left go into jobs; without it, what is in jobs is brought to its
    end, and no new ones are made."""

    def __init__(
        self, migration: Migration, embedder: Embedder, throttle: Throttle, sweeps: bool,
        clock: Callable[[], float] = time.monotonic,
    ):  # fmt: skip
        """Raises ConfigError where the embedder has no batch API."""
        if not isinstance(embedder, BatchingEmbedder):
            raise ConfigError(
                f"backfill.mode: batch: {embedder.model.name} cannot be called by a batch API "
                "with these settings: give it its key, or for Vertex AI a backfill.batch_folder, "
                "or set backfill.mode: live"
            )
        self._migration, self._model, self._sweeps = migration, embedder.model, sweeps
        self._batches, self._clock = embedder.batches, clock
        writer = open_writer(migration)
        self._submitter = Submitter(migration, embedder, embedder.batches)
        self._collector = Collector(migration, embedder.batches, writer, throttle, sweeps)
        with translate_errors("opening the jobs"), migration.engine.begin() as connection:
            create_tables(connection)  # an earlier version may have expanded it
            jobs.forget_failures(connection, migration)
        self._started, self._full_until = clock(), 0.0
        self._busy_since: float | None = None
        self._is_idle = False
        self._over_budget: BudgetExceeded | None = None

    def counts(self) -> JobCounts:
        """Raises DatabaseError."""
        return retry_database(self._count)

    def _count(self) -> JobCounts:
        with translate_errors("counting jobs"), self._migration.engine.connect() as connection:
            return jobs.count(connection, self._migration)

    def advance(self, worker: str) -> Iterator[int]:
        """Some ranges go into jobs, one job is submitted, and those that have ended are collected:
        the number of rows that landed, after each write. Raises ModelError, DatabaseError."""
        self._is_idle = not (self._sweeps and prepare(self._migration, worker, self._model))
        try:
            self._submit(worker)
            yield from self._collect(worker)
        except ModelBusy as error:
            self._busy_since = self._busy_since or self._clock()
            limit = MODEL_ATTEMPTS * self._migration.plan.backfill.model_seconds
            if self._clock() - self._busy_since > limit:
                raise
            log.info("the batches are looked at again: %s", error)

    def wait(self, counts: JobCounts) -> None:
        """A moment, unless there was something to do, for a job of `counts` to end. Raises
        BudgetExceeded when the budget holds those that are left, or ModelBusy after
        backfill.batch_hours."""
        if self._over_budget and not counts.at_the_provider:
            raise self._over_budget
        hours = self._migration.plan.backfill.batch_hours
        if self._clock() - self._started > 3600 * hours:
            raise ModelBusy(
                f"the batches have not ended in {hours:g} h ({counts}): run this again, at any "
                "time, and it waits on"
            )
        if self._is_idle:
            time.sleep(min(TICK_SECONDS, POLL_SECONDS))

    def _submit(self, worker: str) -> None:
        doubtful = [jobs.SUBMITTING]
        while job := retry_database(jobs.take, self._migration, worker, doubtful, POLL_SECONDS):
            self._submitter.recover(worker, job)
            self._answered()
        if not self._sweeps:
            return self._release(worker)
        if self._over_budget or self._clock() < self._full_until:
            return None
        if job := retry_database(jobs.take, self._migration, worker, [jobs.PREPARED]):
            try:
                self._submitter.submit(worker, job)
                self._answered()
            except BudgetExceeded as error:  # perhaps not, when others have ended
                self._over_budget = error
            except ModelBusy:
                self._full_until = self._clock() + 2 * POLL_SECONDS
                raise
        return None

    def _answered(self) -> None:
        self._is_idle, self._busy_since = False, None

    def _release(self, worker: str) -> None:
        """What was prepared and not submitted is embedded live."""
        while job := retry_database(jobs.take, self._migration, worker, [jobs.PREPARED]):
            for start in range(0, len(job.keys), 1000):
                part = job.keys[start : start + 1000]
                retry_database(queue.put_back, self._migration, part)
            retry_database(self._end_unsent, worker, job)

    def _end_unsent(self, worker: str, job: Job) -> None:
        with translate_errors("ending a job"), self._migration.engine.begin() as connection:
            jobs.end(connection, worker, job, 0, 0.0, "not submitted; backfill.mode is live")

    def _collect(self, worker: str) -> Iterator[int]:
        states = jobs.AT_THE_PROVIDER
        while job := retry_database(jobs.take, self._migration, worker, states, POLL_SECONDS):
            try:
                look = self._batches.look(job.remote or "")
            except BatchLost:
                look = Look("ended", "lost")
            self._answered()
            if look.state == "ended":
                yield from self._collector.collect(worker, job, look)
                waits = look.is_full and self.counts().at_the_provider
                self._full_until = self._clock() + FULL_SECONDS if waits else 0.0
                self._over_budget = None
                continue
            state = jobs.RUNNING if look.state == "running" else jobs.SUBMITTED
            retry_database(jobs.leave, self._migration, worker, job, state=state)
        if self._collector.given_up:
            raise self._collector.given_up
