"""One large table, migrated under the requests of an app, with the log of its probe.

    python -m tests.scale.large --rows 2000000

Writes large.json and probe.csv into a folder of runs/.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from ragkit.deploy import probe
from ragkit.deploy.vendor import build_source
from ragkit.migration.plan.backfill import BackfillSection
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.runbook.engines.fill import fill
from ragkit.runbook.runbook import Runbook
from tests.bench.backfill import OLD
from tests.bench.database import BenchServer
from tests.bench.embedders import FAST
from tests.bench.report import environment as machine
from tests.bench.tables import TableShape
from tests.conftest import ROOT, changed, environment
from tests.function.serve import function_variables, serve_function
from tests.scale.environment import KEY, SHORT, plan_of, serving_api

QUESTIONS = ("a quiet lounge", "fresh bread", "a window by the river", "public library")
QUIET_SECONDS = 60
"""Of requests before the first step."""
BIN_SECONDS = 10
COLUMNS = ["seconds", "phase", "requests", "failed", "p50_ms", "p95_ms", "max_ms", "rows"]


class Phases:
    """When each phase began, and how many rows had a vector by then."""

    def __init__(self) -> None:
        self.begun: list[tuple[float, str]] = []
        self.rows: list[tuple[float, int]] = []

    def begin(self, name: str) -> None:
        self.begun.append((time.time(), name))
        print(f"{name} …", flush=True)

    def at(self, when: float) -> str:
        return next((name for start, name in reversed(self.begun) if start <= when), "")


@contextmanager
def probing(url: str, log: Path) -> Iterator[None]:
    """As the probe of a run: twelve requests a second, on time whatever comes back."""
    questions = log.with_name("questions.jsonl")
    questions.write_text("".join(json.dumps({"text": text}) + "\n" for text in QUESTIONS))
    command = [sys.executable, "-m", probe.__name__, url, str(questions), str(log), f"{probe.RATE}"]
    with subprocess.Popen(command, env=environment()) as process:
        try:
            yield
        finally:
            process.terminate()


def migrate(rows: int, folder: Path, scratch: Path) -> dict[str, Any]:
    """Fills and indexes the column while the app answers; answers large.json."""
    os.environ.update(KEY)
    log, phases = scratch / "probe.jsonl", Phases()
    with BenchServer(str(scratch)) as server, serving_api(scratch, FAST, SHORT) as api:
        print("the table and the index of its old vectors …", flush=True)
        with server.clone(TableShape(rows, SHORT, hnsw=True)) as clone:
            throttled = {"backfill.slow_factor": BackfillSection().slow_factor}
            runbook = Runbook(changed(plan_of(clone, api), throttled), scratch)
            variables = function_variables(
                clone.engine, EMBEDDING_MODEL=OLD[SHORT], STOCK_COLUMNS=f"{OLD[SHORT]}=embedding",
                DB_TABLE="public.documents", RESULT_COLUMNS="content",
            )  # fmt: skip
            source = build_source(scratch / "app" / "source")
            with serve_function(source, **variables) as app, probing(str(app.base_url), log):
                figures = _steps(runbook, phases)
            runbook.engine.dispose()
    table = by_time(probe.read(log), phases)
    table.to_csv(folder / "probe.csv", index=False)
    requests = probe.read(log)
    return {
        "environment": machine(), "rows": rows, **figures,
        "requests": len(requests), "failed": int(requests["error"].notna().sum()),
        "phases": by_phase(requests, phases),
    }  # fmt: skip


def _steps(runbook: Runbook, phases: Phases) -> dict[str, Any]:
    migration = runbook.migration
    phases.begin("before")
    time.sleep(QUIET_SECONDS)
    phases.begin("expand")
    expand(migration, runbook.new_embedder)
    phases.begin("backfill")
    start = time.monotonic()
    for step in fill(runbook):
        phases.rows.append((time.time(), step.done))
    seconds = time.monotonic() - start
    phases.begin("index")
    built = index.build(migration)
    phases.begin("after")
    time.sleep(QUIET_SECONDS)
    return {
        "backfill_seconds": round(seconds, 1), "index_seconds": round(built.seconds, 1),
        "index_bytes": built.bytes, "index_settings": built.settings,
    }  # fmt: skip


def by_phase(requests: pd.DataFrame, phases: Phases) -> list[dict[str, Any]]:
    names = requests["due"].map(phases.at)
    return [
        {"phase": name, **_latency(part)}
        for name, part in requests.groupby(names, sort=False)
        if name
    ]


def by_time(requests: pd.DataFrame, phases: Phases) -> pd.DataFrame:
    """A line for each BIN_SECONDS."""
    start = phases.begun[0][0]
    bins = ((requests["due"] - start) // BIN_SECONDS).astype(int)
    lines = []
    for number, part in requests.groupby(bins):
        if number < 0:
            continue
        end = start + (number + 1) * BIN_SECONDS
        done = [rows for at, rows in phases.rows if at <= end]
        lines.append({
            "seconds": number * BIN_SECONDS, "phase": phases.at(part["due"].iloc[0]),
            **_latency(part), "rows": done[-1] if done else 0,
        })  # fmt: skip
    return pd.DataFrame(lines, columns=COLUMNS)


def _latency(part: pd.DataFrame) -> dict[str, Any]:
    return {
        "requests": len(part), "failed": int(part["error"].notna().sum()),
        "p50_ms": round(float(part["ms"].quantile(0.5)), 1),
        "p95_ms": round(float(part["ms"].quantile(0.95)), 1),
        "max_ms": round(float(part["ms"].max()), 1),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    given = parser.parse_args()
    folder = given.runs / f"large-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = migrate(given.rows, folder, Path(scratch))
    (folder / "large.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["failed"]))


if __name__ == "__main__":
    main()
