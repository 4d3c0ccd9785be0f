"""Waits for what others hold: ranges and keys of other backfills, and rows that are locked."""

import logging
import time
from collections.abc import Callable

from ragkit.database.translate import translate_errors
from ragkit.errors import PhaseError
from ragkit.migration.migration import Migration
from ragkit.migration.progress.claimed import missing_in_claims
from ragkit.migration.work import queue, workers
from ragkit.migration.work.sweep_state import read_sweep

MIN_WAIT, MAX_WAIT = 0.25, 2.0
"""Seconds between two looks."""
WARN_SECONDS = 30.0
LOCKS, NOBODY = "transactions that have locked them", "no worker: none begins, or none ends"
log = logging.getLogger(__name__)


class Waiting:
    """Longer each time, while nothing changes; after `patience` seconds it is an error. What is
    held changes also when rows of a range get their vectors: a slow model works on one for long."""

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
        self._missing: int | None = None
        self._since, self._warned, self._pause = clock(), False, MIN_WAIT

    def restart(self) -> None:
        """Whoever held something was paused meanwhile."""
        self._left = None

    def wait(self) -> None:
        """Raises as `look`."""
        self.look()
        self._sleep(self._pause)
        self._pause = min(2 * self._pause, MAX_WAIT)

    def look(self) -> None:
        """Raises PhaseError, which tells what is left and who holds it, or DatabaseError."""
        with translate_errors("waiting"), self._migration.engine.connect() as connection:
            walked = read_sweep(connection, self._migration)
            waiting = queue.depth(connection, self._migration)
            if (left := (walked, waiting.keys)) != self._left:
                self._left, self._missing = left, None
                self._changed()
            seconds = self._clock() - self._since
            if seconds < min(WARN_SECONDS, self._patience / 2):
                return
            before, self._missing = self._missing, missing_in_claims(connection, self._migration)
            if before not in (None, self._missing):
                return self._changed()
            holders = workers.at_work(connection, self._migration.id)
        said = (
            f"nothing has changed for {seconds:.0f} s: {walked.unclaimed} blocks of the table are "
            f"not claimed, {walked.claims} ranges and {waiting.keys} rows are left, "
            f"held by {', '.join(map(str, holders)) or (LOCKS if waiting.keys else NOBODY)}"
        )
        if seconds >= self._patience:
            raise PhaseError(f"{said}: let them end, or end them, and run this again")
        if not self._warned:
            log.warning(said)
            self._warned = True

    def _changed(self) -> None:
        self._since, self._warned, self._pause = self._clock(), False, MIN_WAIT
