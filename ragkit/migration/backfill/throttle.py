"""Throttle: the backfill slows down when the app gets slower, and logs when and why.

It watches the probe's p95 where a probe runs, else a canary: the app's own query on the old
column, once a second at most. Where there is a replica, its lag counts too.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from ragkit.database.standbys import read_standbys
from ragkit.database.translate import translate_errors
from ragkit.deploy import probe
from ragkit.errors import DatabaseError, DatabaseUnavailable
from ragkit.migration.migration import Migration
from ragkit.retrieval.search import nearest

BASELINE_QUERIES, BASELINE_SECONDS = 10, 60.0
"""What the baseline is measured on: queries of the canary, or seconds of the probe's log."""
RECENT = 5
"""The latest measurements, which are compared with the baseline."""
CHECK_SECONDS, MIN_PAUSE, MAX_PAUSE = 1.0, 0.05, 2.0
NOISE_MS = 5.0
"""A smaller difference is noise, whatever the factor."""
MAX_LAG_SECONDS = 10.0
UNSEEN_STANDBYS = "the backfill does not slow down for them; inspect shows the GRANT"
log = logging.getLogger(__name__)


class Throttle:
    """`measure` returns the app's latency in ms; `lag` the replica's in seconds, or None.
    `baseline_ms` is the app's p95 without a backfill. `reason` says why it pauses; "" when it does
    not."""

    def __init__(
        self,
        baseline_ms: float,
        measure: Callable[[], float],
        lag: Callable[[], float | None],
        factor: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._measure, self._lag = measure, lag
        self._sleep, self._clock = sleep, clock
        self._baseline = baseline_ms
        self._limit = max(factor * baseline_ms, baseline_ms + NOISE_MS)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._checked_at, self.pause, self.reason = clock(), 0.0, ""

    def wait_if_slow(self) -> None:
        """Call after each write: checks at most once a second, and pauses if it must."""
        if self._clock() - self._checked_at >= CHECK_SECONDS:
            self._check()
            self._checked_at = self._clock()
        if self.pause:
            self._sleep(self.pause)

    def _check(self) -> None:
        try:
            self._recent.append(self._measure())
        except DatabaseUnavailable:
            return
        p95, lag = _p95(self._recent), self._lag() or 0.0
        if p95 > self._limit or lag > MAX_LAG_SECONDS:
            self.pause = min(max(2 * self.pause, MIN_PAUSE), MAX_PAUSE)
            self.reason = f"a standby is {lag:.0f} s behind"
            if p95 > self._limit:
                self.reason = f"the app's p95 grew from {self._baseline:.0f} to {p95:.0f} ms"
            log.warning(
                "slowed down, %.2f s between writes: p95 %.1f ms (limit %.1f), replica lag %.1f s",
                self.pause, p95, self._limit, lag,
            )  # fmt: skip
        elif self.pause:
            self.pause = self.pause / 2 if self.pause > MIN_PAUSE else 0.0
            if not self.pause:
                self.reason = ""
                log.warning("at full speed again: p95 %.1f ms (limit %.1f)", p95, self._limit)


def throttle_for(migration: Migration, probe_log: Path | None) -> Throttle:
    """By the log of a probe where there is one, else by a canary. Raises DatabaseError."""
    measure: Callable[[], float]
    if probe_log is not None and probe_log.exists():
        watched = probe_log  # a name that is never None, for the closure

        def measure() -> float:
            return probe.recent_p95(watched)

        baseline = probe.recent_p95(watched, BASELINE_SECONDS)
    else:
        measure = _canary(migration)
        baseline = _p95([measure() for _ in range(BASELINE_QUERIES)])
    if _replica_lag(migration) is None:
        log.warning("this role may not see how far standbys are behind: %s", UNSEEN_STANDBYS)
    factor = migration.plan.backfill.slow_factor
    return Throttle(baseline, measure, lambda: _replica_lag(migration), factor)


def _canary(migration: Migration) -> Callable[[], float]:
    """Milliseconds of the app's query; 0.0 while the old column holds no vector to ask with."""
    vectors = migration.select(migration.old_vector).where(migration.old_vector.is_not(None))
    with translate_errors("canary"), migration.engine.connect() as connection:
        vector = connection.scalar(vectors.limit(1))
    if vector is None:
        return lambda: 0.0

    def measure() -> float:
        with translate_errors("canary"), migration.engine.connect() as connection:
            start = time.perf_counter()
            key = migration.plan.table.key
            nearest(connection, migration.old, np.array(vector), [key], limit=3)
            return (time.perf_counter() - start) * 1000

    return measure


def _replica_lag(migration: Migration) -> float | None:
    """In seconds, of the slowest standby; None when it cannot be seen."""
    try:
        with translate_errors("replication lag"), migration.engine.connect() as connection:
            standbys = read_standbys(connection)
    except DatabaseError:
        return None
    return None if standbys.hidden else standbys.lag_seconds


def _p95(values: Iterable[float]) -> float:
    return float(np.percentile(list(values), 95))
