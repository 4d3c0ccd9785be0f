"""How far a backfill is, as data."""

import time
from dataclasses import dataclass, field

from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.model_calls.metering import Reading
from ragkit.migration.progress.coverage import RowCounts
from ragkit.migration.work.jobs import NO_JOBS, JobCounts


@dataclass(frozen=True)
class Progress:
    """`done` of about `total` rows have a vector; `rate` is that of this run, in rows/s. `usd` is
    what all runs of this migration have spent, `in_flight` the requests that are with the model
    now, and `waiting` why the backfill is slowed down, or what makes its writes dear; "" when
    nothing does. `jobs` are those of the provider's batch API; `workers` the processes that fill,
    where they are others than this one."""

    done: int
    total: int
    rate: float
    seconds: float
    usd: float = 0.0
    in_flight: int = 0
    waiting: str = ""
    jobs: JobCounts = NO_JOBS
    workers: int = 0

    @property
    def eta_seconds(self) -> float:
        """Infinite where nobody knows: a batch takes as long as the provider likes."""
        if self.jobs.rows:
            return float("inf")
        return (self.total - self.done) / self.rate if self.rate else float("inf")


@dataclass
class Tally:
    """`written` rows since `counts` were taken, of `landed` in this run."""

    counts: RowCounts
    meter: Reading
    in_flight: InFlight
    jobs: JobCounts
    written: int = 0
    landed: int = 0
    is_exact: bool = False
    start: float = field(default_factory=time.monotonic)

    def counted(self, counts: RowCounts) -> None:
        self.counts, self.written, self.is_exact = counts, 0, True

    def looked_at(self, counted: JobCounts) -> JobCounts:
        self.jobs = counted
        return counted

    def progress(self, landed: int = 0, reason: str = "") -> Progress:
        self.landed, self.written = self.landed + landed, self.written + landed
        seconds = time.monotonic() - self.start
        total = self.counts.filled + self.counts.pending
        # a row that is edited meanwhile is written again
        done, rate = min(self.counts.filled + self.written, total), self.landed / max(seconds, 1e-6)
        running = self.in_flight.running
        return Progress(done, total, rate, seconds, self.meter.usd, running, reason, self.jobs)
