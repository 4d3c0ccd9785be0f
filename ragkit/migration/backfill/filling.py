"""One process that fills a column: what it claims, asks the model for and writes, as people steer
it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.long_texts.embedder import for_rows
from ragkit.errors import ConfigError, DatabaseError, SpaceMismatch
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.model_calls.in_flight import InFlight
from ragkit.migration.backfill.model_calls.metering import Reading, meter_requests
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.backfill.reading.batches import RequestLimits, queue_batches, sweep_batches
from ragkit.migration.backfill.stages import Pipeline
from ragkit.migration.backfill.throttle import throttle_for
from ragkit.migration.backfill.throttle.throttle import Throttle
from ragkit.migration.control.steering import Steering
from ragkit.migration.migration import Migration
from ragkit.migration.work import sweep
from ragkit.migration.work.workers import working
from ragkit.retrieval import contract
from ragkit.retrieval.space import Space
from ragkit.retry import retry_database


class Filling:
    """`meter` and `in_flight` show what it does while it is open."""

    def __init__(
        self, migration: Migration, embedder: Embedder, probe_log: Path | None = None,
        baseline: Sequence[float] = (),
    ):  # fmt: skip
        """`probe_log`, else `baseline`, are for the throttle. Raises PhaseError, ConfigError (the
        quota is below backfill.in_flight), SpaceMismatch (the embedder makes another space than the
        contract binds) or DatabaseError."""
        migration.require_phase("backfill")
        require_bound_space(migration, embedder)
        self._migration, self._embedder = migration, embedder
        self._probe_log, self._baseline = probe_log, baseline
        self.meter = Reading(read_usd(migration))
        self.in_flight = InFlight(requests_in_flight(migration, embedder))
        self._worker = ""
        self._pipeline: Pipeline

    def steered_as(self, migration: Migration, *, follows: bool) -> Steering:
        """By the settings of `migration`, which is not this one where it fills its old column."""
        return Steering(migration, self.in_flight, self.in_flight.limit, follows=follows)

    @cached_property
    def throttle(self) -> Throttle:
        return throttle_for(self._migration, self._probe_log, self._baseline)

    @contextmanager
    def open(self, steering: Steering) -> Iterator[str]:
        """The id of the worker that holds its claims."""
        migration = self._migration
        metered = meter_requests(migration, self._embedder, self.meter, self.in_flight.sleep)
        model = for_rows(metered, migration.plan.new.long_texts)
        with (
            steering,
            working(migration.engine, "ragkit backfill") as self._worker,
            Pipeline(migration, model, self.in_flight, self.throttle) as self._pipeline,
        ):
            self._limits = RequestLimits.of(
                self._pipeline.model, migration.plan.backfill.batch_size
            )
            self._check = steering.check
            retry_database(sweep.begin, migration)
            yield self._worker

    def record_reused(self) -> None:
        """When it has ended well, how many rows had a text that was embedded for another one."""
        if self._pipeline.reused:
            self._migration.record("reused", rows=self._pipeline.reused)

    def sweep(self, goes_on: Callable[[], bool] = lambda: True) -> Iterator[int]:
        """Claims ranges while it `goes_on`, until none is left; the rows that landed, after each
        write. Raises ModelError, Stopped, Held or DatabaseError."""
        batches = sweep_batches(self._migration, self._worker, self._limits, goes_on)
        yield from self._pipeline.run(batches, self._check)

    def empty_queue(self, before: int) -> Iterator[int]:
        """The same with the keys that were written `before`, as of PassStart."""
        batches = queue_batches(self._migration, self._worker, before, self._limits)
        yield from self._pipeline.run(batches, self._check)


def requests_in_flight(migration: Migration, embedder: Embedder) -> int:
    """The plan's, else the catalogue's. Raises ConfigError when the quota is smaller."""
    wanted = migration.plan.backfill.in_flight or embedder.model.in_flight
    quota = Quota.of(embedder.model, migration.plan.backfill).requests
    if quota and migration.plan.backfill.in_flight > quota:
        raise ConfigError(
            f"backfill.in_flight is {wanted}, but the quota of {embedder.model.name} is {quota} "
            f"requests a minute: set backfill.in_flight to {quota} or less, or "
            "backfill.requests_per_minute to your quota"
        )
    return min(wanted, quota or wanted)


def require_bound_space(migration: Migration, embedder: Embedder) -> None:
    """A column takes only vectors of the space that the contract binds it to. Raises SpaceMismatch,
    or DatabaseError without a contract."""
    plan = migration.plan
    with translate_errors("backfill"), migration.engine.connect() as connection:
        bindings = contract.read_bindings(connection, plan.table.qualified_name)
    place = plan.new.column, migration.where
    bound = next((b for b in bindings if (b.column, b.where) == place), None)
    if bound is None:
        raise DatabaseError(f"no contract for {plan.new.column!r}: run expand first")
    space = Space.of(embedder.model, plan.template(plan.new))
    is_of_model = bound.space.is_of(embedder.model)
    if is_of_model and space.only_adds_to(replace(bound.space, model=space.model)):
        raise SpaceMismatch(
            f"long_texts of {bound.column!r} was refuse and is another now: run backfill "
            "(notebook 02) first, which takes the change into the contract"
        )
    if bound.space.template != space.template or not is_of_model:
        raise SpaceMismatch(
            f"column {bound.column!r} is bound to {bound.space.model} "
            f"({bound.space.fingerprint}), the embedder makes {space.model} ({space.fingerprint})"
        )
