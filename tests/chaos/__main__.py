"""python -m tests.chaos [ROWS [FOLDER [READS]]]: the full proof, with READS requests a second.
Exits with 0 if every invariant holds."""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from tests.chaos import database_faults, process_faults
from tests.chaos.checker import (
    FinalTable,
    Outages,
    count_lost_writes,
    manners_figures,
    read_log,
    request_figures,
    vector_figures,
)
from tests.chaos.environment import ROOT, ChaosEnvironment
from tests.chaos.lock_monitor import LockMonitor
from tests.chaos.proof import Proof
from tests.chaos.timeline import draw_timeline
from tests.conftest import free_port

READS_PER_SECOND, WRITES_PER_SECOND = 55.0, 60.0
TRANSACTIONS_PER_SECOND, TRANSACTIONS = 40.0, 10_000
"""Of several rows each; so many are wanted."""
MAX_WAIT_MS = 250
WARM_SECONDS, QUIET_SECONDS, RECOVERY_SECONDS = 3, 10, 5.0
HOSTILE_ROWS = 10_000
"""A shorter proof leaves out the faults that take their time."""
INVARIANTS = (
    "failed_requests", "stale_vectors", "pending", "lost_writes", "lock_waits_over_limit",
    "app_deadlocks",
)  # fmt: skip
"""Figures of a proof that must be 0."""


def main(rows: int, runs: Path, reads_per_second: float = READS_PER_SECOND) -> int:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = runs / f"chaos-{stamp}"
    run_dir.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        environment = ChaosEnvironment(Path(folder), free_port(), rows, run_dir)
        try:
            figures = prove(environment, run_dir, reads_per_second)
        finally:
            environment.sandbox.remove()
    (run_dir / "chaos.json").write_text(json.dumps(figures, indent=2) + "\n")
    print(f"\n{'figure':28} value   limit")
    for name in INVARIANTS:
        print(f"{name:28} {figures[name]:>5}   0")
    goals = {
        "longest_write_pause_ms": MAX_WAIT_MS, "max_wait_of_other_rows_ms": MAX_WAIT_MS,
        "seconds_to_recover": RECOVERY_SECONDS,
        "p95_busy_ms": round(1.5 * figures["p95_quiet_ms"], 1),
    }  # fmt: skip
    for name, limit in goals.items():
        print(f"{name:28} {figures[name]:>5}   goal {limit:g}")
    print(
        f"{'transactions_of_several_rows':28} {figures['transactions_of_several_rows']:>5}", end=""
    )
    print(f"   goal {TRANSACTIONS}")
    print(f"report: {run_dir / 'chaos.json'}")
    return int(any(figures[name] for name in INVARIANTS))


def prove(environment: ChaosEnvironment, run_dir: Path, reads_per_second: float) -> dict:
    sandbox = environment.sandbox
    proof, monitor = Proof(environment), LockMonitor(sandbox.url)
    proof.phase("build", environment.build)
    reads, writes, manners = (run_dir / f"{n}.jsonl" for n in ("probe", "writes", "manners"))
    url = sandbox.url.render_as_string()
    with ExitStack() as stack:
        stack.enter_context(
            environment.process("tests.chaos.readers", sandbox.app.url, reads, reads_per_second)
        )
        flag = environment.cut_over_flag
        with (
            environment.process("tests.chaos.manners", url, manners, flag, TRANSACTIONS_PER_SECOND),
            environment.process(
                "tests.chaos.writers", url, writes, flag, WRITES_PER_SECOND, environment.rows
            ),
        ):
            monitor.start()
            time.sleep(WARM_SECONDS)
            proof.phase("quiet", lambda: time.sleep(min(QUIET_SECONDS, environment.rows / 1000)))
            proof.phase("backfill", proof.expand_and_backfill)
            if environment.rows >= HOSTILE_ROWS:
                proof.phase("hostile", lambda: run_faults(proof))
            proof.phase("compare", proof.compare)
            proof.phase("cut over", proof.cut_over_and_back)
        proof.phase("settle", proof.settle)
        table = FinalTable.read(environment)
        proof.phase("retire", proof.retire)
    if not monitor.is_alive():
        raise RuntimeError("the lock monitor died: its figure would be of a part of the proof")
    monitor.stop.set()
    logs = (read_log(reads), read_log(writes), read_log(manners))
    return summarise(proof, monitor, *logs, table, run_dir)


def run_faults(proof: Proof) -> None:
    """Those of the database, its network and its other users."""
    database_faults.connection_limit(proof, 10)
    database_faults.exclusive_lock(proof, 20)
    database_faults.statement_timeout(proof, 5)
    database_faults.idle_row_locks(proof, 10)
    database_faults.half_open(proof, 20)
    database_faults.disk_full(proof)
    process_faults.memory_limit(proof)
    process_faults.frozen_worker(proof, 10)
    process_faults.two_operators(proof)


def summarise(
    proof: Proof, monitor: LockMonitor, reads: pd.DataFrame, writes: pd.DataFrame,
    manners: pd.DataFrame, table: FinalTable, run_dir: Path,
) -> dict:  # fmt: skip
    outages = Outages(proof.outages, RECOVERY_SECONDS)
    undisturbed = outages.undisturbed(reads, "due")

    def p95(start: float, end: float) -> float:
        in_phase = undisturbed["due"].between(start, end)
        return round(float(undisturbed[in_phase]["ms"].quantile(0.95)), 1)

    limit = proof.environment.plan.database.lock_timeout_ms
    waits = [
        ms for (_, started), ms in monitor.waits.items()
        if not (outages.includes(started) or outages.includes(started + ms / 1000))
    ]  # fmt: skip
    draw_timeline(run_dir / "timeline.png", reads, writes, proof)
    return {
        "rows": proof.environment.rows,
        "writes": len(writes),
        **request_figures(reads, outages),
        **vector_figures(table),
        **manners_figures(manners, outages),
        "lost_writes": count_lost_writes(table, writes),
        "lock_waits_over_limit": sum(ms > limit for ms in waits),
        "longest_lock_wait_ms": round(max(waits, default=0.0), 1),
        "longest_write_pause_ms": round(float(outages.undisturbed(writes, "at")["ms"].max()), 1),
        "p95_quiet_ms": p95(*proof.phases["quiet"]),
        "p95_busy_ms": p95(*proof.backfill_without_fault),
        "seconds": {name: round(end - start, 1) for name, (start, end) in proof.phases.items()},
        "faults": proof.faults,
    }


if __name__ == "__main__":
    given = dict(zip(("rows", "runs", "reads"), sys.argv[1:], strict=False))
    folder = Path(given.get("runs", ROOT / "runs"))
    sys.exit(
        main(int(given.get("rows", 20_000)), folder, float(given.get("reads", READS_PER_SECOND)))
    )
