"""Throttle: the backfill slows down when the app suffers, and says when and why.

What is watched is the probe's p95 where a probe runs beside, else a canary: the app's own query
on the old column, once a second at most. Where there is a replica, its lag counts too.
"""

import logging
import time
from collections import deque
from collections.abc import Callable

import numpy as np
import sqlalchemy as sa

from ragkit.app import probe
from ragkit.database import plain_errors
from ragkit.errors import DatabaseError, DatabaseUnavailable
from ragkit.migration.subject import Migration
from ragkit.search import nearest

QUIET, QUIET_SECONDS, RECENT = 10, 60.0, 5
"""The baseline: measurements of the canary, or seconds of the probe; and the measurements that
are compared with it."""
EVERY_SECONDS, SHORTEST, LONGEST = 1.0, 0.05, 2.0
MARGIN_MS = 5.0
"""Below this a difference is noise, whatever the factor."""
MOST_LAG_SECONDS = 10.0
log = logging.getLogger(__name__)

_LAG = sa.text("select extract(epoch from max(replay_lag)) from pg_stat_replication")


class Throttle:
    """`measure` gives the app's latency in ms, `lag` the replica's in seconds or None; `quiet` is
    the app's p95 in ms without a backfill."""

    def __init__(
        self,
        quiet: float,
        measure: Callable[[], float],
        lag: Callable[[], float | None],
        factor: float,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ):
        self._measure, self._lag, self._factor = measure, lag, factor
        self._sleep, self._clock = sleep, clock
        self._limit = max(factor * quiet, quiet + MARGIN_MS)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._looked, self.pause = clock(), 0.0

    def breathe(self) -> None:
        """To be called after each write: looks at most once a second, and waits if it must."""
        if self._clock() - self._looked >= EVERY_SECONDS:
            self._look()
            self._looked = self._clock()
        if self.pause:
            self._sleep(self.pause)

    def _look(self) -> None:
        try:
            self._recent.append(self._measure())
        except DatabaseUnavailable:
            return
        p95, lag = _p95(self._recent), self._lag() or 0.0
        if p95 > self._limit or lag > MOST_LAG_SECONDS:
            self.pause = min(max(2 * self.pause, SHORTEST), LONGEST)
            log.warning(
                "slowed, %.2f s between writes: p95 %.1f ms (limit %.1f), replica %.1f s behind",
                self.pause, p95, self._limit, lag,
            )  # fmt: skip
        elif self.pause:
            self.pause = self.pause / 2 if self.pause > SHORTEST else 0.0
            if not self.pause:
                log.warning("at full speed again: p95 %.1f ms (limit %.1f)", p95, self._limit)


def throttle_for(migration: Migration) -> Throttle:
    """By the log of a probe in the plan's run_dir, else by a canary."""
    folder = migration.plan.run_dir
    beside = migration.plan.path(folder) / "probe.jsonl" if folder else None
    if beside is not None and beside.exists():
        measure = lambda: probe.recent_p95(beside)  # noqa: E731
        quiet = probe.recent_p95(beside, QUIET_SECONDS)
    else:
        measure = _canary(migration)
        quiet = _p95([measure() for _ in range(QUIET)])
    return Throttle(quiet, measure, lambda: _lag(migration), migration.plan.slow_factor)


def _canary(migration: Migration) -> Callable[[], float]:
    """Milliseconds of the app's query; 0.0 while the old column holds nothing to ask with."""
    column = migration.table.c[migration.plan.old_column]
    with plain_errors("canary"), migration.engine.connect() as connection:
        query = sa.select(column).select_from(migration.table).where(column.is_not(None)).limit(1)
        vector = connection.scalar(query)
    if vector is None:
        return lambda: 0.0

    def measure() -> float:
        with plain_errors("canary"), migration.engine.connect() as connection:
            began = time.perf_counter()
            nearest(connection, migration.old, np.array(vector), [migration.plan.key], 3)
            return (time.perf_counter() - began) * 1000

    return measure


def _lag(migration: Migration) -> float | None:
    """None without a replica, or without the right to see one."""
    try:
        with plain_errors("replication lag"), migration.engine.connect() as connection:
            found = connection.scalar(_LAG)
    except DatabaseError:
        return None
    return None if found is None else float(found)


def _p95(values) -> float:
    return float(np.percentile(list(values), 95))
