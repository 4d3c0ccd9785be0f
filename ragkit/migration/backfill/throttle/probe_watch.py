"""The app's latency and stalls, by the log of a running probe, of which only new lines are read."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ragkit.deploy.probe import BYTES_A_SECOND, OUTSTANDING_SECONDS, TIMEOUT_SECONDS
from ragkit.migration.backfill.throttle.baseline import Baseline, p95

MINUTE = 60.0
GROUP, MIN_GROUPS = 15, 3
"""Requests of one p95, and how many of these make a baseline: one request a second suffices."""
RECENT_SECONDS, OLDEST_SECONDS = 3.0, 45.0
"""What is compared with it: the requests of these seconds, at least GROUP, and as many before them:
one window alone may be a burst. None is older than OLDEST_SECONDS."""
STALL_SECONDS = 3.0
"""Without an answer, while one is due for so long."""


class ProbeWatch:
    """A Watch. The baseline is the median of the p95s in the minute before; while there is too
    little traffic for one, or now, only a stall is slow. A request that fails counts as one that
    took as long as the probe waits."""

    def __init__(self, log: Path, factor: float, now: Callable[[], float] = time.time):
        self._log, self._factor, self._now = log, factor, now
        self._offset: int | None = None
        self._torn = b""
        self._answered: dict[float, float] = {}  # ms by the time that the request was due
        self._outstanding: set[float] = set()
        self._answered_at = self._written_at = 0.0
        self._baseline: Baseline | None = None
        self._read()
        self._find_baseline()

    def is_alive(self) -> bool:
        """Whether somebody writes the log."""
        return self._now() - self._written_at < OUTSTANDING_SECONDS

    def __call__(self) -> str:
        self._read()
        if stalled := self._stalled_seconds():
            return f"the app has not answered for {stalled:.0f} s"
        if self._baseline is None:
            self._find_baseline()
            return ""
        ms = min(map(p95, self._recent_windows()), default=0.0)
        if not self._baseline.is_exceeded_by(ms):
            return ""
        return f"the app's p95 grew from {self._baseline.ms:.0f} to {ms:.0f} ms"

    def _stalled_seconds(self) -> float:
        """0.0 unless requests are outstanding and none has come back since the oldest left."""
        if not self._outstanding or self._answered_at > min(self._outstanding):
            return 0.0
        slowest = self._factor * max(self._answered.values(), default=0.0)
        usual = self._baseline.limit_ms if self._baseline else min(slowest, 1000 * TIMEOUT_SECONDS)
        seconds = self._now() - min(self._outstanding)
        return seconds if seconds > max(STALL_SECONDS, usual / 1000) else 0.0

    def _recent_windows(self) -> list[list[float]]:
        """ms in the two latest windows, also of the outstanding requests, which have taken at least
        their age; [] where there is too little traffic."""
        now = self._now()
        ages = [(due, 1000 * (now - due)) for due in self._outstanding]
        latest = sorted([*self._answered.items(), *ages])
        size = max(GROUP, sum(due >= now - RECENT_SECONDS for due, _ in latest))
        recent = [ms for due, ms in latest[-2 * size :] if due >= now - OLDEST_SECONDS]
        return [recent[:size], recent[size:]] if len(recent) == 2 * size else []

    def _find_baseline(self) -> None:
        values = [ms for _, ms in sorted(self._answered.items())]
        groups = [values[n : n + GROUP] for n in range(0, len(values) - GROUP + 1, GROUP)]
        if len(groups) >= MIN_GROUPS:
            self._baseline = Baseline([p95(group) for group in groups], self._factor)

    def _read(self) -> None:
        now = self._now()
        for row in self._new_lines():
            due, back = row["due"], row["due"] + row.get("ms", 0.0) / 1000
            self._written_at = max(self._written_at, back)
            if "ms" not in row:
                self._outstanding.add(due)
                continue
            self._outstanding.discard(due)
            self._answered_at = max(self._answered_at, back)
            failed = row.get("error") is not None
            self._answered[due] = max(row["ms"], 1000 * TIMEOUT_SECONDS) if failed else row["ms"]
        self._outstanding = {d for d in self._outstanding if now - d < OUTSTANDING_SECONDS}
        self._answered = {d: ms for d, ms in self._answered.items() if now - d < MINUTE}

    def _new_lines(self) -> Iterator[dict[str, Any]]:
        try:
            size = self._log.stat().st_size
            if self._offset is None or size < self._offset:  # the first time, or another file
                reach = int((MINUTE + OUTSTANDING_SECONDS) * BYTES_A_SECOND)
                self._offset, self._torn = max(0, size - reach), b""
                skips_first = self._offset > 0
            else:
                skips_first = False
            with self._log.open("rb") as file:
                file.seek(self._offset)
                text = self._torn + file.read()
                self._offset = file.tell()
        except FileNotFoundError:
            return
        *lines, self._torn = text.split(b"\n")
        yield from map(json.loads, lines[skips_first:])
