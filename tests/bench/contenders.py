"""Runs contenders against each other: one after the other, each on a fresh clone, in turn first."""

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.backfill import NO_PLACEMENT
from tests.bench.database import BenchServer, Clone
from tests.bench.peers.environments import CannotRun
from tests.bench.tables import TableShape
from tests.bench.waits import WaitSampler
from tests.conftest import ROOT, environment

RUN_SECONDS = 3600


class ScriptFailed(Exception):
    """A contender that is there has failed; the text is its last line."""


@dataclass(frozen=True)
class Run:
    """One measurement. `measured`: seconds, rows, and what else the contender tells."""

    contender: str
    round: int
    order: int
    measured: dict[str, float]

    def __getitem__(self, name: str) -> float:
        return self.measured[name]

    @property
    def rate(self) -> float:
        """Rows a second."""
        return self["rows"] / self["seconds"]


@dataclass(frozen=True)
class Contender:
    """`run` measures on a clone of `shape`. Raises CannotRun where it cannot be run."""

    name: str
    shape: TableShape
    run: Callable[[Clone], dict[str, float]]


@dataclass(frozen=True)
class Ratio:
    """A figure of one round: `of` takes its runs by contender. `explained_by`: the contender whose
    profile tells why the goal is missed."""

    explained_by: str
    of: Callable[[dict[str, Run]], float]


@dataclass
class Scenario:
    """Contenders that are compared, and the ratios that a round of them makes, by figure.
    `missing`: why a contender is left out; `failed`: those that should not be."""

    contenders: list[Contender]
    ratios: dict[str, Ratio]
    missing: dict[str, str] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def play(self, server: BenchServer, round_number: int) -> dict[str, Run]:
        """One round; the order is turned around each time."""
        present = [c for c in self.contenders if c.name not in self.missing]
        runs = {}
        for order, contender in enumerate(present[:: -1 if round_number % 2 else 1]):
            try:
                measured = _measure(contender, server)
            except (CannotRun, ScriptFailed) as error:
                self.missing[contender.name] = f"{contender.name}: {error}"
                self.failed |= {contender.name} if isinstance(error, ScriptFailed) else set()
            else:
                runs[contender.name] = Run(contender.name, round_number, order, measured)
        return runs


def _measure(contender: Contender, server: BenchServer) -> dict[str, float]:
    """On a fresh clone, with what the server did meanwhile."""
    with server.clone(contender.shape) as clone:
        before = server.cpu_seconds()
        with WaitSampler(clone.engine) as waits:
            measured = contender.run(clone)
        measured = measured | waits.shares
        measured["server_cpu_seconds"] = server.cpu_seconds() - before
        hot = clone.hot_share(int(measured.get("updates", 0)))
        return measured if hot is None else measured | {"hot_share": hot}


def script(
    name: str,
    module: str,
    shape: TableShape,
    dimension: int,
    *,
    limit: int | None = None,
    python: Callable[[], Path] = lambda: Path(sys.executable),
    **options: Any,
) -> Contender:
    """A module of this folder as a process of its own, told by a Task; see `peers.measure`."""

    def run(clone: Clone) -> dict[str, float]:
        task = {
            "socket": str(clone.socket), "database": clone.name, "rows": shape.rows,
            "dimension": dimension, "limit": limit or shape.rows,
            "options": {"old_dimension": shape.dimension, **options},
        }  # fmt: skip
        command = [python(), "-m", f"tests.bench.{module}", json.dumps(task)]
        try:
            done = subprocess.run(
                command, env=environment(), cwd=ROOT, capture_output=True, text=True,
                check=False, timeout=RUN_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise ScriptFailed(f"has not ended in {RUN_SECONDS:,} s") from None
        if done.returncode == NO_PLACEMENT:
            raise CannotRun("the plan has no side tables")
        if done.returncode:
            raise ScriptFailed((done.stderr.strip().splitlines() or ["no message"])[-1])
        return json.loads(done.stdout.splitlines()[-1])

    return Contender(name, shape, run)


def timed(function: Callable[[], object]) -> float:
    """Seconds that it takes."""
    start = time.monotonic()
    function()
    return time.monotonic() - start
