"""Throttle: pauses between writes, longer while something says that it is slow.

The app is watched by the log of a probe where one runs, else by a canary; the standbys by what they
have replayed.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ragkit.errors import DatabaseUnavailable
from ragkit.migration.backfill.throttle.canary import Canary
from ragkit.migration.backfill.throttle.probe_watch import ProbeWatch
from ragkit.migration.backfill.throttle.replica_lag import ReplicaLag
from ragkit.migration.migration import Migration

CHECK_SECONDS, MIN_PAUSE, MAX_PAUSE = 1.0, 0.05, 2.0
CALM_SECONDS = 60.0
"""At full speed, before the log says so: a backfill that runs for days beside a busy app goes back
and forth several times a minute."""
log = logging.getLogger(__name__)

Watch = Callable[[], str | None]
"""Says what is slow, "" when nothing is, None when it knows nothing new."""


class Throttle:
    """`reason` says why it pauses; "" when it does not. Several threads may share one."""

    def __init__(
        self,
        watches: Sequence[Watch],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._watches, self._sleep, self._clock = watches, sleep, clock
        self._verdicts = ["" for _ in watches]
        self._due, self._checking = clock() + CHECK_SECONDS, threading.Lock()
        self.pause, self.reason = 0.0, ""
        self._slow_at: float | None = None  # while the log has it slowed down

    def wait_if_slow(self) -> None:
        """Call between two writes: checks at most once a second, and pauses if it must."""
        if self._clock() >= self._due and self._checking.acquire(blocking=False):
            try:
                self._check()
            finally:
                self._due = self._clock() + CHECK_SECONDS
                self._checking.release()
        if self.pause:
            self._sleep(self.pause)

    def _check(self) -> None:
        """An old verdict that something is slow keeps the pause; only a new one makes it longer."""
        is_slower = False
        for number, watch in enumerate(self._watches):
            verdict = _ask(watch)
            if verdict is not None:
                self._verdicts[number] = verdict
                is_slower = is_slower or bool(verdict)
        self.reason = "; ".join(filter(None, self._verdicts)) or (self.pause and self.reason) or ""
        if is_slower:
            self.pause = min(max(2 * self.pause, MIN_PAUSE), MAX_PAUSE)
            self._tell_slow()
        elif self.pause and not any(self._verdicts):
            self.pause = self.pause / 2 if self.pause > MIN_PAUSE else 0.0
            if not self.pause:
                self.reason = ""
        self._tell_calm()

    def _tell_slow(self) -> None:
        if self._slow_at is None:
            log.warning("slowed down: %s", self.reason)
        log.debug("%.2f s between writes: %s", self.pause, self.reason)
        self._slow_at = self._clock()

    def _tell_calm(self) -> None:
        if self.pause or self._slow_at is None:
            return
        if self._clock() - self._slow_at > CALM_SECONDS:
            log.warning("at full speed again")
            self._slow_at = None


def throttle_for(
    migration: Migration, probe_log: Path | None, baseline: Sequence[float] = ()
) -> Throttle:
    """By the log of a probe where one is writing it, else by a canary, which may be given its
    `baseline` in ms. Raises DatabaseError."""
    factor = migration.plan.backfill.slow_factor
    probe = ProbeWatch(probe_log, factor) if probe_log is not None else None
    app: Watch = probe if probe and probe.is_alive() else Canary.of(migration, factor, baseline)
    return Throttle([app, ReplicaLag.of(migration)])


def _ask(watch: Watch) -> str | None:
    try:
        return watch()
    except DatabaseUnavailable:
        return None
