"""How a script is told its table, and says what it took. The standard library alone."""

import json
import re
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

PEAK = re.compile(r"VmHWM:\s+(\d+) kB")
"""Of this program. ru_maxrss is no less than what the process that started it had."""


class Task(NamedTuple):
    """`rows`: of the table; `limit`: how many of them a slow way takes, in the order of the key.
    `options`: of this script alone."""

    socket: str
    database: str
    rows: int
    dimension: int
    limit: int
    options: dict[str, Any]

    @classmethod
    def read(cls) -> "Task":
        """From the command line."""
        return cls(**json.loads(sys.argv[1]))


class Stopwatch:
    """Wall time and this process's CPU time of a block, in s, and its peak memory, in MB."""

    def __enter__(self) -> "Stopwatch":
        self._cpu, self._start = time.process_time(), time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.seconds = time.monotonic() - self._start
        self.cpu_seconds = time.process_time() - self._cpu

    def report(self, rows: int, **more: float) -> None:
        """Prints the measurement."""
        peak = int(PEAK.search(Path("/proc/self/status").read_text())[1]) / 1024
        measured = {"seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_mb": peak}
        print(json.dumps({"rows": rows, **measured, **more}), flush=True)
