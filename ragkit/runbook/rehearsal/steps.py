"""The steps of a rehearsal in their order: those of the migration itself, on the copy.

Inside of `with`, the scratch schema is there; at its end, however that comes, it is removed.
"""

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Self

from ragkit.database.translate import translate_errors
from ragkit.errors import ConfigError, ModelError, PlanError, RagkitError, SpaceNotReady
from ragkit.evaluation.evidence import Evidence
from ragkit.migration.backfill.model_calls.costs import ModelCost, read_costs
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.exclusive import exclusive
from ragkit.migration.progress import coverage
from ragkit.migration.rehearsal import copying, forecast, sample
from ragkit.migration.rehearsal.fitness import require_rehearsable, scratch_plan
from ragkit.migration.rehearsal.forecast import Forecast, Measured, extrapolate, size
from ragkit.migration.rehearsal.pace import Pace
from ragkit.migration.rehearsal.record import record
from ragkit.migration.rehearsal.removal import remove
from ragkit.migration.rehearsal.scratch import (
    SCRATCH,
    make_own_tables,
    make_scratch,
    rehearsed,
    require_room,
)
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import Verdict
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.questions import KNOWN_ITEMS
from ragkit.runbook.runbook import Runbook

log = logging.getLogger(__name__)


@dataclass
class Rehearsal:
    """`clone` is the address of a clone of the database, in which the copy is made; "" for the
    database itself. `why_not`: why there is no verdict."""

    runbook: Runbook
    share: float
    clone: str = ""
    evidence: Evidence | None = None
    verdict: Verdict | None = None
    why_not: str = ""
    _pace: Pace = field(default_factory=Pace)
    _grown: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def place(self) -> Runbook:
        """Where the copy is made. Raises ConfigError for a clone whose address is not one."""
        if not self.clone:
            return self.runbook
        plan = self.runbook.plan
        values = plan.model_dump(by_alias=True)
        values["database"] |= {"url": self.clone, "expect": "", "direct": ""}
        try:
            there = type(plan).of(values).beside(plan.siblings)
        except PlanError as error:
            faults = "; ".join(fault.removeprefix("database.url: ") for fault in error.faults)
            raise ConfigError(f"--clone: {faults}; nothing was changed") from None
        return Runbook(there, self.runbook.run_dir)

    @cached_property
    def scratch(self) -> Runbook:
        """Of the copy, once it is there."""
        plan = scratch_plan(self.place.plan)
        runbook = Runbook(plan, self.runbook.run_dir)
        vars(runbook)["engine"] = self.place.engine
        return runbook

    def clean(self) -> str | None:
        """The migration whose rehearsal was left behind, and is removed now; None where there was
        none. Raises PhaseError while one runs, SchemaError or DatabaseError."""
        with translate_errors("looking for a rehearsal"), self.place.engine.connect() as connection:
            if rehearsed(connection) is None:
                return None
        with self._alone():
            return self._remove()

    def __enter__(self) -> Self:
        """Raises ConfigError, PhaseError or SchemaError before anything is made, or
        DatabaseError."""
        for runbook in (self.runbook, self.place):
            require_rehearsable(runbook.migration)
        require_room(self.place.engine)
        self._total = sample.require_enough(self.place.migration, self.share)
        with ExitStack() as stack:
            stack.enter_context(self._alone())
            if left := self._remove():
                log.warning("a rehearsal of %s had not ended: it is removed", left)
            make_scratch(self.place.engine, self.runbook.migration.id)
            stack.callback(self._remove)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """Raises DatabaseError when it cannot be removed, unless a step has failed."""
        try:
            self._stack.close()
        except RagkitError as left:
            if error is None:
                raise
            log.warning("%s", left)

    def copy(self) -> sample.Sample:
        """The sample, with every index of the table. Raises ConfigError when it has too few rows by
        chance, or DatabaseError."""
        migration = self.place.migration
        copied = copying.place(migration, SCRATCH)
        by_blocks = sample.is_by_blocks(migration, self.share)
        added = copying.copy_rows(migration, copied, self.share, self._judged(), by_blocks)
        rows = copying.index_copy(migration, copied)
        copy = sample.Sample(rows, max(self._total, rows), added, by_blocks)
        self.sample = sample.require_rows(copy, self.share)
        return self.sample

    def fill(self) -> Generator[Progress, None, None]:
        """As `ragkit backfill`. Raises as `fill` does."""
        runbook, before = self.scratch, self._size()
        expand(runbook.migration, runbook.new_embedder)
        yield from self._pace.follow(fill(runbook))
        self._grown = max(0, self._size() - before)

    def build(self, report: Callable[[index.BuildProgress], object]) -> index.IndexState:
        self.index = index.build(self.scratch.migration, report)
        return self.index

    def compare(self) -> None:
        """The evidence and the verdict. Rows that cannot be compared are no reason to lose what was
        measured. Raises DatabaseError."""
        runbook = self.scratch
        try:
            self.evidence = runbook.evidence()
            self.verdict = runbook.decide(self.evidence)
        except (ConfigError, ModelError, SpaceNotReady) as error:
            self.why_not = str(error)

    def forecast(self) -> Forecast:
        """Kept in the ledger, for `beside_the_run`. Raises DatabaseError."""
        found, migration = self.measured, self.scratch.migration
        quota = Quota.of(self.scratch.new_embedder.model, self.runbook.plan.backfill)
        rows = extrapolate(found, self.sample, quota, fits=True).rows
        fits = forecast.fits_in_memory(migration, rows)
        foretold = extrapolate(found, self.sample, quota, fits=fits)
        record(self.runbook.migration, found, foretold)
        return foretold

    @cached_property
    def measured(self) -> Measured:
        """Once all steps are done. Raises DatabaseError."""
        migration = self.scratch.migration
        with translate_errors("counting rows"), migration.engine.connect() as connection:
            counts = coverage.count_rows(connection, migration)
        costs = self.costs()
        return Measured(
            rows=counts.filled,
            dead_letters=counts.dead_letters,
            rows_per_second=round(self._pace.rows_per_second, 2),
            once_seconds=round(self._pace.once_seconds, 2),
            requests=sum(cost.requests for cost in costs),
            tokens=sum(cost.tokens for cost in costs),
            usd=sum(cost.usd for cost in costs),
            table_bytes=self._grown,
            index_seconds=round(self.index.seconds, 3),
            index_bytes=self.index.bytes,
        )

    def costs(self) -> list[ModelCost]:
        """What it has spent. Raises DatabaseError."""
        return read_costs(self.scratch.migration)

    def _judged(self) -> list[str]:
        """Keys of rows that judged questions name: without them, nothing could be found."""
        if self.runbook.plan.evaluation.questions in ("", KNOWN_ITEMS):
            return []
        questions = self.place.questions
        return sorted(questions.judged_rows()) if questions else []

    def _size(self) -> int:
        return size(self.scratch.migration)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        for engine in {self.runbook.engine, self.place.engine}:
            make_own_tables(engine)
        with exclusive(self.place.migration, "rehearse", name=SCRATCH):
            yield

    def _remove(self) -> str | None:
        return remove(self.place.engine, self.runbook.engine, self.place.plan.database)
