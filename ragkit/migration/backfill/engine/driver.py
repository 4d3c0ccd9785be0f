"""Hands units of work out until no range is left, and tells how far the database says it is.

It may be killed and run again like any backfill; units that still run then end by themselves.
"""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait

from ragkit.errors import EngineAway, EngineError
from ragkit.migration.backfill.engine.engines import Engine
from ragkit.migration.backfill.engine.sweep_progress import SweepProgress
from ragkit.migration.backfill.engine.unit import Done
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.backfill.stages import MODEL_ATTEMPTS
from ragkit.migration.backfill.waiting import Waiting
from ragkit.migration.control.steering import Steering
from ragkit.migration.migration import Migration

TICK_SECONDS = 1.0
LOST_SECONDS = 120.0
"""How long an engine may be lost, again and again, before a unit ends well."""
RESTART_SECONDS = 2.0
log = logging.getLogger(__name__)

Unit = Callable[[], Done]
"""Picklable; opens the migration where it runs."""


class Driver:
    """`run` yields the progress, at least once a second."""

    def __init__(self, migration: Migration, unit: Unit, engine: Engine):
        """Raises DatabaseError."""
        self._migration, self._unit, self._engine = migration, unit, engine
        self._progress = SweepProgress(migration)
        self._steering = Steering(migration, _Unsteered(), 1, follows=False)
        self._patience = Waiting(migration, MODEL_ATTEMPTS * migration.plan.backfill.model_seconds)
        self._well_at = time.monotonic()
        self._has_started = self._is_last = False

    def run(self) -> Iterator[Progress]:
        """Until no range is left to claim; rows that are locked, and those that people write, are
        left to the caller.

        Raises EngineError when the engine cannot be started, or is lost for LOST_SECONDS; what a
        unit raises; PhaseError when nothing changes; Stopped by somebody; DatabaseError.
        """
        yield self._progress.look(is_end=True)
        with self._steering:
            while not self._is_last:
                try:
                    with self._engine.start() as executor:
                        self._has_started = True
                        yield from self._hand_out(executor)
                except Exception as error:
                    self._require_lost(error)
                    yield self._progress.look(f"{self._engine.name} was lost, and is started again")
                    time.sleep(RESTART_SECONDS)

    def _hand_out(self, executor: Executor) -> Iterator[Progress]:
        running: set[Future[Done]] = set()
        while running or not self._is_last:
            for reason in self._steering.waiting():
                self._patience.restart()
                yield self._progress.look(reason)
            if not self._is_last:
                if not self._engine.workers:
                    raise EngineAway(f"{self._engine.name} has no worker any more")
                missing = self._engine.workers - len(running)
                running |= {executor.submit(self._unit) for _ in range(missing)}
            yield self._progress.look(workers=len(running))
            done, running = wait(running, TICK_SECONDS, FIRST_COMPLETED)
            for future in done:
                self._is_last |= _result(future, self._engine).is_last
                self._well_at = time.monotonic()
            self._patience.look()
        yield self._progress.look(is_end=True)

    def _require_lost(self, error: Exception) -> None:
        """Raises the error unless the engine is to be started again."""
        is_lost = isinstance(error, EngineAway) or self._engine.is_lost(error)
        if not is_lost or not self._has_started:
            raise error
        seconds = time.monotonic() - self._well_at
        if seconds > LOST_SECONDS:
            raise EngineError(
                f"{self._engine.name} was lost again and again for {seconds:.0f} s, the last time "
                f"by {type(error).__name__}: see its logs, and run this again; what was written "
                "stays"
            ) from error
        log.warning("%s was lost (%s), and is started again", self._engine.name, error)


def _result(future: Future[Done], engine: Engine) -> Done:
    try:
        return future.result()
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"a worker of {engine.name} cannot load the work ({error}): install the same ragkit, "
            "with the same extras, in its environment"
        ) from error


class _Unsteered:
    """Each worker is steered by itself."""

    def steer(self, limit: int, pace: float, held: bool) -> None:
        pass
