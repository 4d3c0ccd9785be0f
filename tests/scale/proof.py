"""The proof: a table is filled by Dask's workers within a quota, while one of them and the
scheduler are killed, and people pause it."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ragkit.migration import phases
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.control.settings import change_settings
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.runbook import Runbook
from tests.bench.database import BenchServer
from tests.bench.tables import TableShape
from tests.scale import calls
from tests.scale.environment import (
    IN_FLIGHT,
    KEY,
    Api,
    Supervised,
    count_connections,
    count_filled,
    count_fills,
    expanded,
    plan_of,
)
from tests.scale.measuring import finish
from tests.stand_ins import dask

WORKERS = 3
PAUSE_SECONDS = 3.0
STEADY, PAUSED, WORKER_KILLED, SCHEDULER_KILLED = 0.05, 0.35, 0.45, 0.65
"""Shares of the rows at which something is done."""


@dataclass
class Watch:
    """What was told beside what is in the table; shares of the rows."""

    rows: int
    most_ahead: float = 0.0
    most_behind: float = 0.0
    fell: float = 0.0
    most_connections: int = 0
    _last: float = 0.0

    def look(self, step: Progress, filled: int, connections: int) -> None:
        told = step.done / step.total
        self.most_ahead = max(self.most_ahead, told - filled / self.rows)
        self.most_behind = max(self.most_behind, filled / self.rows - told)
        self.fell = max(self.fell, self._last - told)
        self._last = told
        self.most_connections = max(self.most_connections, connections)


@dataclass
class Faults:
    """What is done to a run, once each, when its share of the rows has a vector. `steady`: start
    and end of a time without any."""

    runbook: Runbook
    cluster: Supervised
    steady: list[float] = field(default_factory=list)
    paused_at: float = 0.0
    resumed_at: float = 0.0

    def at(self, share: float) -> None:
        migration, killed = self.runbook.migration, len(self.cluster.killed)
        if not self.steady and share >= STEADY:
            self.steady.append(time.time())
        elif not self.paused_at and share >= PAUSED:
            self.steady.append(time.time())
            change_settings(migration, "pause", paused=True)
            self.paused_at = time.time()
        elif self.paused_at and not self.resumed_at:
            if time.time() - self.paused_at > PAUSE_SECONDS:
                self.resumed_at = time.time()
                change_settings(migration, "resume", paused=False)
        elif killed == 0 and share >= WORKER_KILLED:
            self.cluster.kill_worker()
        elif killed == 1 and share >= SCHEDULER_KILLED:
            self.cluster.kill_scheduler()


def under_faults(server: BenchServer, api: Api, rows: int, quota: int, folder: Path) -> Any:
    """The figures of one run of `rows` within a quota of requests a minute; and what it measured
    of the table."""
    with (
        server.clone(TableShape(rows, api.dimension)) as clone,
        dask.serving(folder / "dask", WORKERS, "--no-nanny", **KEY) as cluster,
        Supervised(cluster, WORKERS) as supervised,
    ):
        plan = plan_of(
            clone, api, engine="dask", address=cluster.address, requests_per_minute=quota
        )
        runbook, start = expanded(plan, folder), time.time()
        faults, watch = Faults(runbook, supervised), Watch(rows)
        for step in fill(runbook):
            filled = count_filled(runbook.migration)
            watch.look(step, filled, count_connections(runbook.migration))
            faults.at(filled / rows)
        seconds = time.time() - start
        assert runbook.migration.phase() == phases.BACKFILLED
        once, more, pending = count_fills(runbook.migration)
        measured = finish(runbook, rows / seconds, 0.0)
    done = [call for call in calls.read(api.log) if call.at >= start]
    paused = calls.between(done, faults.paused_at, faults.resumed_at)
    steady = calls.between(done, *faults.steady)
    figures = {
        "rows": rows, "filled_once": once, "filled_more": more, "pending": pending,
        "calls": len(done), "calls_paid_twice": calls.paid_twice(done),
        "calls_allowed_twice": allowed_twice(len(supervised.killed)),
        "kills": len(supervised.killed),
        "in_flight_at_kills": [calls.running(done, at) for at in supervised.killed],
        "quota_error": round(calls.quota_error(steady, quota), 4),
        "quota_excess": round(calls.excess(done, quota), 4), "steady_calls": len(steady),
        "pause_seconds_to_effect": round(
            max((call.at - faults.paused_at for call in paused), default=0.0), 2
        ),
        "progress_ahead": round(watch.most_ahead, 3),
        "progress_behind": round(watch.most_behind, 3), "progress_fell": round(watch.fell, 3),
        "connections": watch.most_connections, "seconds": round(seconds, 1),
        "requests_per_minute": quota, "workers": WORKERS,
    }  # fmt: skip
    return figures, measured


def allowed_twice(kills: int) -> int:
    """A worker that is killed takes what is in flight with it, and as much that is answered and not
    yet written; a scheduler takes all its workers with it, at the latest when it comes back."""
    return 2 * IN_FLIGHT * (1 + WORKERS) if kills == 2 else 0
