"""One large table, migrated under the requests of an app, with the log of its probe.

    python -m tests.scale.large --rows 2000000

The backfill runs as by default for some minutes, is stopped as by Ctrl-C, and is run again with a
larger backfill.slow_factor, as whoever sees its ETA would do. Writes large.json and probe.csv into
a folder of runs/.
"""

import argparse
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

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
"""Of requests before the first step, between the parts of the backfill, and at the end."""
CAREFUL_SECONDS, SLOW_FACTOR = 240, 4.0
"""How long the backfill has the default of `backfill.slow_factor`, and what it has then."""
MEMORY_SHARE = 4
"""Of it, this one is shared_buffers, as PostgreSQL's manual has it: an index of millions of vectors
is larger than what the benchmark gives a server."""
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


def migrate(rows: int, folder: Path, scratch: Path, slow_factor: float) -> dict[str, Any]:
    """Fills and indexes the column while the app answers; answers large.json."""
    os.environ.update(KEY)
    log, phases = scratch / "probe.jsonl", Phases()
    buffers = f"{psutil.virtual_memory().total // MEMORY_SHARE // 2**20}MB"
    with (
        BenchServer(str(scratch), shared_buffers=buffers) as server,
        serving_api(scratch, FAST, SHORT) as api,
    ):
        print("the table and the index of its old vectors …", flush=True)
        with server.clone(TableShape(rows, SHORT, hnsw=True)) as clone:
            plan = plan_of(clone, api)
            by_default, patient = (
                Runbook(changed(plan, {"backfill.slow_factor": factor}), scratch)
                for factor in (BackfillSection().slow_factor, slow_factor)
            )
            variables = function_variables(
                clone.engine, EMBEDDING_MODEL=OLD[SHORT], STOCK_COLUMNS=f"{OLD[SHORT]}=embedding",
                DB_TABLE="public.documents", RESULT_COLUMNS="content",
            )  # fmt: skip
            source = build_source(scratch / "app" / "source")
            with serve_function(source, **variables) as app, probing(str(app.base_url), log):
                figures = _steps(by_default, patient, phases)
            for runbook in (by_default, patient):
                runbook.engine.dispose()
    table = by_time(probe.read(log), phases)
    table.to_csv(folder / "probe.csv", index=False)
    requests = probe.read(log)
    return {
        "environment": machine(), "rows": rows, "shared_buffers": buffers, **figures,
        "requests": len(requests), "failed": int(requests["error"].notna().sum()),
        "phases": by_phase(requests, phases),
    }  # fmt: skip


def _steps(by_default: Runbook, patient: Runbook, phases: Phases) -> dict[str, Any]:
    phases.begin("before")
    time.sleep(QUIET_SECONDS)
    phases.begin("expand")
    expand(by_default.migration, by_default.new_embedder)
    parts = [_fill(by_default, phases, CAREFUL_SECONDS)]
    phases.begin("stopped")
    time.sleep(QUIET_SECONDS)
    parts.append(_fill(patient, phases))
    phases.begin("index")
    built = index.build(patient.migration)
    phases.begin("after")
    time.sleep(QUIET_SECONDS)
    return {
        "backfill": parts, "index_seconds": round(built.seconds, 1),
        "index_bytes": built.bytes, "index_settings": built.settings,
    }  # fmt: skip


def _fill(runbook: Runbook, phases: Phases, most_seconds: float = math.inf) -> dict[str, float]:
    """Until the column is complete, or for so long."""
    factor = runbook.plan.backfill.slow_factor
    phases.begin(f"backfill, slow_factor {factor:g}")
    start, told = time.monotonic(), []
    with closing(fill(runbook)) as steps:
        for step in steps:
            told.append(step.done)
            phases.rows.append((time.time(), step.done))
            if time.monotonic() - start > most_seconds:
                break
    seconds = time.monotonic() - start
    return {"slow_factor": factor, "seconds": round(seconds, 1), "rows": told[-1] - told[0]}


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
    parser.add_argument("--slow-factor", type=float, default=SLOW_FACTOR)
    parser.add_argument("--runs", type=Path, default=ROOT / "runs")
    given = parser.parse_args()
    folder = given.runs / f"large-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    folder.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        found = migrate(given.rows, folder, Path(scratch), given.slow_factor)
    (folder / "large.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    sys.exit(bool(found["failed"]))


if __name__ == "__main__":
    main()
