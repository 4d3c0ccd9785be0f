"""The proof: a table is filled by Dask's workers within a quota, while one of them and the
scheduler are killed, and people pause it."""

import time
from dataclasses import dataclass, field
from pathlib import Path

from ragkit.migration import phases
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.control.settings import change_settings
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.runbook import Runbook
from tests.bench.database import BenchServer
from tests.bench.tables import TableShape
from tests.scale import calls
from tests.scale.environment import (
    DIMENSION,
    IN_FLIGHT,
    KEY,
    Api,
    Supervised,
    count_filled,
    count_fills,
    expanded,
    plan_of,
)
from tests.stand_ins import dask

WORKERS = 3
PAUSE_SECONDS = 3.0
STEADY, PAUSED, WORKER_KILLED, SCHEDULER_KILLED = 0.05, 0.35, 0.45, 0.65
"""Shares of the rows at which something is done."""


@dataclass
class Watch:
    """How far the told progress was from the table."""

    rows: int
    most_ahead: int = 0
    most_behind: int = 0
    last: int = 0
    fell: int = 0

    def look(self, step: Progress, filled: int) -> None:
        self.most_ahead = max(self.most_ahead, step.done - filled)
        self.most_behind = max(self.most_behind, filled - step.done)
        self.fell += step.done < self.last
        self.last = step.done


@dataclass
class Faults:
    """What is done to a run, once each, when its share of the rows has a vector."""

    runbook: Runbook
    cluster: Supervised
    steady: list[float] = field(default_factory=list)
    paused_at: float = 0.0
    resumed_at: float = 0.0

    def at(self, share: float) -> None:
        migration = self.runbook.migration
        if not self.steady and share >= STEADY:
            self.steady.append(time.time())
        elif not self.paused_at and share >= PAUSED:
            self.steady.append(time.time())
            change_settings(migration, "pause", paused=True)
            self.paused_at = time.time()
        elif self.paused_at and not self.resumed_at:
            if time.time() - self.paused_at > PAUSE_SECONDS:
                change_settings(migration, "resume", paused=False)
                self.resumed_at = time.time()
        elif len(self.cluster.killed) == 0 and share >= WORKER_KILLED:
            self.cluster.kill_worker()
        elif len(self.cluster.killed) == 1 and share >= SCHEDULER_KILLED:
            self.cluster.kill_scheduler()


def under_faults(server: BenchServer, api: Api, rows: int, quota: int, folder: Path) -> dict:
    """The figures of one run of `rows` within a quota of requests a minute."""
    with (
        server.clone(TableShape(rows, DIMENSION)) as clone,
        dask.serving(folder / "dask", WORKERS, "--no-nanny", **KEY) as cluster,
        Supervised(cluster, WORKERS) as supervised,
    ):
        plan = plan_of(
            clone, api, engine="dask", address=cluster.address, requests_per_minute=quota
        )
        runbook = expanded(plan, folder)
        faults, watch, start = Faults(runbook, supervised), Watch(rows), time.time()
        for step in fill(runbook):
            filled = count_filled(runbook.migration)
            watch.look(step, filled)
            faults.at(filled / rows)
        seconds = time.time() - start
        assert runbook.migration.phase() == phases.BACKFILLED
        once, more, pending = count_fills(runbook.migration)
        runbook.engine.dispose()
    done = [call for call in calls.read(api.log) if call.at >= start]
    paused = calls.between(done, faults.paused_at, faults.resumed_at)
    steady = calls.between(done, *faults.steady)
    return {
        "rows": rows, "filled_once": once, "filled_more": more, "pending": pending,
        "calls": len(done), "calls_paid_twice": calls.paid_twice(done),
        "kills": len(supervised.killed),
        "in_flight_at_kills": [calls.running(done, at) for at in supervised.killed],
        "calls_allowed_twice": allowed_twice(len(supervised.killed)),
        "quota_error": round(calls.quota_error(steady, quota), 4),
        "quota_excess": round(calls.excess(done, quota), 4), "steady_calls": len(steady),
        "pause_seconds_to_effect": round(
            max((call.at - faults.paused_at for call in paused), default=0.0), 2
        ),
        "progress_ahead": watch.most_ahead, "progress_behind": watch.most_behind,
        "progress_fell": watch.fell, "seconds": round(seconds, 1),
        "requests_per_minute": quota, "workers": WORKERS,
    }  # fmt: skip


def allowed_twice(kills: int) -> int:
    """A worker that is killed takes what is in flight with it, and as much that is answered and not
    yet written; a scheduler takes all its workers with it."""
    return 2 * IN_FLIGHT * (1 + WORKERS) if kills == 2 else 0


def throughput(server: BenchServer, api: Api, rows: int, folder: Path) -> dict[str, float]:
    """Rows a second without a quota, by this process alone and by the workers of Dask."""
    with dask.serving(folder / "dask", WORKERS, "--no-nanny", **KEY) as cluster:
        ways = {"local": {}, "dask": {"engine": "dask", "address": cluster.address}}
        return {name: _rate(server, api, rows, folder, **way) for name, way in ways.items()}


def _rate(server: BenchServer, api: Api, rows: int, folder: Path, **backfill: object) -> float:
    with server.clone(TableShape(rows, DIMENSION)) as clone:
        runbook = expanded(plan_of(clone, api, **backfill), folder)
        start = time.monotonic()
        for _ in fill(runbook):
            pass
        seconds = time.monotonic() - start
        assert count_fills(runbook.migration) == (rows, 0, 0)
        runbook.engine.dispose()
        return rows / seconds
