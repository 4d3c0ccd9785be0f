"""What runs without a fault take, and the plan that they lead to."""

import time
from dataclasses import asdict
from math import ceil
from pathlib import Path
from typing import Any

from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.model_calls.quota import Quota
from ragkit.migration.rehearsal.forecast import (
    Forecast,
    Measured,
    extrapolate,
    fits_in_memory,
    size,
)
from ragkit.migration.rehearsal.pace import Pace
from ragkit.migration.rehearsal.sample import Sample
from ragkit.migration.schema import index
from ragkit.migration.work.connections import read_room
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.runbook import Runbook
from tests.bench.database import BenchServer
from tests.bench.tables import TableShape
from tests.scale.environment import Api, count_fills, expanded, plan_of

PLANNED = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
GB = 2**30


def run(server: BenchServer, api: Api, rows: int, folder: Path, **backfill: object) -> Measured:
    """A whole fill and its index, with these settings of the section."""
    with server.clone(TableShape(rows, api.dimension)) as clone:
        runbook, pace, start = expanded(plan_of(clone, api, **backfill), folder), Pace(), 0.0
        start = time.monotonic()
        for _ in pace.follow(fill(runbook)):
            pass
        seconds = time.monotonic() - start
        assert count_fills(runbook.migration) == (rows, 0, 0)
        return finish(runbook, rows / seconds, 0.0)


def finish(runbook: Runbook, rows_per_second: float, once_seconds: float) -> Measured:
    """Builds the index, and closes the connections."""
    migration = runbook.migration
    with runbook.engine.connect() as connection:
        rows = connection.exec_driver_sql("select count(vector_new) from documents").scalar_one()
    costs, before = read_costs(migration), size(migration)
    built = index.build(migration)
    runbook.engine.dispose()
    return Measured(
        rows=rows, dead_letters=0, rows_per_second=rows_per_second, once_seconds=once_seconds,
        requests=sum(cost.requests for cost in costs), tokens=sum(cost.tokens for cost in costs),
        usd=sum(cost.usd for cost in costs), table_bytes=before,
        index_seconds=built.seconds, index_bytes=built.bytes,
    )  # fmt: skip


def checked(small: Measured, large: Measured, per_minute: int) -> dict[str, dict[str, float]]:
    """The rules of the forecast, from a small run to a large one within a quota that was measured:
    what was foretold, what came, and the former as a share of the latter."""
    foretold = _forecast(small, large.rows, Quota(per_minute, 0), fits=True)
    pairs = {
        "backfill_minutes": (foretold.backfill_minutes, large.rows / large.rows_per_second / 60),
        "usd": (foretold.usd, large.usd),
        "table_bytes": (foretold.table_bytes, large.table_bytes),
        "index_bytes": (foretold.index_bytes, large.index_bytes),
        "index_minutes": (foretold.index_minutes, large.index_seconds / 60),
    }
    return {
        name: {
            "foretold": round(told, 4),
            "measured": round(came, 4),
            "ratio": round(told / came, 3),
        }
        for name, (told, came) in pairs.items()
    }


def plan_table(one: Measured, runbook: Runbook, quota: Quota) -> list[dict[str, Any]]:
    """For each size: how many workers reach the quota, and what a run then takes. `one`: a run of
    one worker."""
    rows_a_minute = quota.requests * one.rows / one.requests
    workers = ceil(rows_a_minute / 60 / one.rows_per_second)
    room = read_room(runbook.migration)
    lines = []
    for rows in PLANNED:
        fits = fits_in_memory(runbook.migration, rows)
        told = _forecast(one, rows, quota, fits)
        lines.append({
            "rows": rows, "hours": round(rows / rows_a_minute / 60, 2), "usd": round(told.usd, 2),
            "workers": workers, "connections": room.needed(workers),
            "table_gb": round(told.table_bytes / GB, 1),
            "index_gb": round(told.index_bytes / GB, 1),
            "index_hours": round(told.index_minutes / 60, 1), "index_fits": fits,
        })  # fmt: skip
    return lines


def _forecast(measured: Measured, rows: int, quota: Quota, fits: bool) -> Forecast:
    return extrapolate(measured, Sample(measured.rows, rows, 0, True), quota, fits=fits)


def as_json(measured: Measured) -> dict[str, Any]:
    return {name: round(value, 4) for name, value in asdict(measured).items()}
