"""python -m tests.scale: the proof at scale, with scale.json in a folder of runs/.

Exits with 1 if a goal is missed.
"""

import argparse
import json
import logging
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ragkit.migration.backfill.model_calls.quota import Quota
from tests.bench.database import BenchServer
from tests.bench.embedders import FAST, SLOW
from tests.bench.report import environment
from tests.bench.tables import TableShape
from tests.conftest import ROOT
from tests.scale import measuring, report
from tests.scale.environment import KEY, LONG, SHORT, expanded, plan_of, serving_api
from tests.scale.proof import WORKERS, under_faults
from tests.stand_ins import dask

GOOGLE_QUOTA = 1_500
"""Requests a minute of text-embedding-005, of at most 250 texts."""


@dataclass(frozen=True)
class Sizes:
    """`rows` under faults, within `quota` requests a minute; `small` is the run that foretells it,
    and what the ways are compared by; `long` rows have 768 dimensions."""

    rows: int = 200_000
    small: int = 50_000
    long: int = 10_000
    quota: int = 900


def prove(sizes: Sizes, runs: Path) -> dict[str, Any]:
    """Writes scale.json, and answers it."""
    start, folder = time.monotonic(), runs / f"scale-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    os.environ.update(KEY)
    with tempfile.TemporaryDirectory() as scratch, BenchServer(scratch) as server:
        found = _measure(server, sizes, Path(scratch))
    total = round(time.monotonic() - start, 1)
    found = {"environment": environment(), **found, "total_seconds": total}
    found["missed"] = report.missed(found)
    (folder / "scale.json").write_text(json.dumps(found, indent=1) + "\n")
    print(f"report: {folder / 'scale.json'}")
    return found


def _measure(server: BenchServer, sizes: Sizes, scratch: Path) -> dict[str, Any]:
    with serving_api(scratch, SLOW, SHORT) as api:
        local = measuring.run(server, api, sizes.small, scratch)
        print(f"one process: {local.rows_per_second:,.0f} rows/s", flush=True)
        with dask.serving(scratch / "dask", WORKERS, "--no-nanny", **KEY) as cluster:
            engine = {"engine": "dask", "address": cluster.address}
            workers = measuring.run(server, api, sizes.small, scratch, **engine)
        print(f"{WORKERS} workers: {workers.rows_per_second:,.0f} rows/s", flush=True)
        figures, large = under_faults(server, api, sizes.rows, sizes.quota, scratch)
        figures["throughput_vs_local"] = round(workers.rows_per_second / local.rows_per_second, 3)
    with serving_api(scratch, FAST, LONG) as api:
        long = measuring.run(server, api, sizes.long, scratch)
        with server.clone(TableShape(sizes.long, LONG)) as clone:
            runbook = expanded(plan_of(clone, api), scratch)
            plan = measuring.plan_table(long, runbook, Quota(GOOGLE_QUOTA, None))
            runbook.engine.dispose()
    return {
        **figures, "small": measuring.as_json(workers), "local": measuring.as_json(local),
        "large": measuring.as_json(large), "long": measuring.as_json(long),
        "checked": measuring.checked(workers, large, sizes.quota), "plan": plan,
        "quota": GOOGLE_QUOTA, "texts": FAST.texts,
    }  # fmt: skip


def main() -> None:
    defaults = Sizes()
    parser = argparse.ArgumentParser(description=__doc__)
    for name, value in vars(defaults).items():
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    given = vars(parser.parse_args())
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    found = prove(Sizes(**{name: given[name] for name in vars(defaults)}), given["runs"])
    print(json.dumps(found, indent=1))
    for line in found["missed"]:
        print(f"missed: {line}")
    sys.exit(bool(found["missed"]))


if __name__ == "__main__":
    main()
