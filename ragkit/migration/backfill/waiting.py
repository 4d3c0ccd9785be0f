"""Waits for what others hold: ranges and keys of other backfills, and rows that are locked."""

import logging
import time
from collections.abc import Callable

from ragkit.database.translate import translate_errors
from ragkit.errors import PhaseError
from ragkit.migration.migration import Migration
from ragkit.migration.work import queue, sweep, workers

MIN_WAIT, MAX_WAIT = 0.25, 2.0
"""Seconds between two looks."""
WARN_SECONDS = 30.0
log = logging.getLogger(__name__)


class Waiting:
    """Longer each time, while nothing changes; after `patience` seconds it is an error."""

    def __init__(
        self,
        migration: Migration,
        patience: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._migration, self._patience = migration, patience
        self._sleep, self._clock = sleep, clock
        self._left: object = None
        self._since, self._warned, self._pause = clock(), False, MIN_WAIT

    def restart(self) -> None:
        """Whoever held something was paused meanwhile."""
        self._left = None

    def wait(self) -> None:
        """Raises PhaseError, which tells what is left and who holds it, or DatabaseError."""
        with translate_errors("waiting"), self._migration.engine.connect() as connection:
            walked = sweep.state(connection, self._migration)
            waiting = queue.depth(connection, self._migration)
            holders = workers.at_work(connection, self._migration.id)
        if (left := (walked, waiting.keys)) != self._left:
            self._left = left
            self._since, self._warned, self._pause = self._clock(), False, MIN_WAIT
        seconds = self._clock() - self._since
        said = (
            f"{walked.claims} ranges of the table and {waiting.keys} rows are left for "
            f"{seconds:.0f} s, "
            f"held by {', '.join(map(str, holders)) or 'transactions that have locked them'}"
        )
        if seconds >= self._patience:
            raise PhaseError(f"{said}: let them end, or end them, and run this again")
        if seconds >= WARN_SECONDS and not self._warned:
            log.warning(said)
            self._warned = True
        self._sleep(self._pause)
        self._pause = min(2 * self._pause, MAX_WAIT)
