"""python -m tests.chaos [ROWS [FOLDER]]: the whole proof. Exit 0 only when nothing is broken."""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from tests.chaos import checker
from tests.chaos.proof import Proof
from tests.chaos.timeline import draw
from tests.chaos.watch import Watch
from tests.chaos.world import ROOT, World
from tests.conftest import free_port

READS, WRITES = 55.0, 60.0
WARM_SECONDS, QUIET_SECONDS, RECOVERY_SECONDS = 3, 10, 5.0
ZERO = ("failed_requests", "stale_vectors", "pending", "lost_writes", "lock_waits_over_limit")


def main(rows: int, runs: Path) -> int:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = runs / f"chaos-{stamp}"
    run_dir.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        world = World(Path(folder), free_port(), rows, run_dir)
        try:
            found = prove(world, run_dir)
        finally:
            world.sandbox.remove()
    (run_dir / "chaos.json").write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{'invariant':28} found   limit")
    for name in ZERO:
        print(f"{name:28} {found[name]:>5}   0")
    goals = {
        "longest_write_pause_ms": 250, "seconds_to_recover": RECOVERY_SECONDS,
        "p95_busy_ms": round(1.5 * found["p95_quiet_ms"], 1),
    }  # fmt: skip
    for name, limit in goals.items():
        print(f"{name:28} {found[name]:>5}   goal {limit:g}")
    print(f"report: {run_dir / 'chaos.json'}")
    return int(any(found[name] for name in ZERO))


def prove(world: World, run_dir: Path) -> dict:
    proof, watch = Proof(world), Watch(world.sandbox.url)
    proof.phase("build", world.build)
    reads, writes = run_dir / "probe.jsonl", run_dir / "writes.jsonl"
    app, url = world.sandbox.app.url, world.sandbox.url.render_as_string()
    with ExitStack() as beside:
        beside.enter_context(world.process("tests.chaos.readers", app, reads, READS))
        with world.process(
            "tests.chaos.writers", url, writes, world.old_model_is_gone, WRITES, world.rows
        ):
            watch.start()
            time.sleep(WARM_SECONDS)
            proof.phase("quiet", lambda: time.sleep(min(QUIET_SECONDS, world.rows / 1000)))
            proof.phase("backfill", proof.expand_and_backfill)
            proof.phase("compare", proof.compare)
            proof.phase("cut over", proof.cut_over_and_back)
        proof.phase("settle", proof.settle)
        end = checker.End.of(world)
        proof.phase("retire", proof.retire)
    watch.stop.set()
    return figures(proof, watch, checker.lines(reads), checker.lines(writes), end, run_dir)


def figures(
    proof: Proof, watch: Watch, reads: pd.DataFrame, writes: pd.DataFrame, end: checker.End,
    run_dir: Path,
) -> dict:  # fmt: skip
    outages = checker.Outages(proof.outages, RECOVERY_SECONDS)
    calm = outages.calm(reads, "due")

    def p95(start: float, end: float) -> float:
        return round(float(calm[calm["due"].between(start, end)]["ms"].quantile(0.95)), 1)

    limit = proof.world.plan.lock_timeout_ms
    draw(run_dir / "timeline.png", reads, writes, proof)
    return {
        "rows": proof.world.rows,
        "writes": len(writes),
        **checker.requests(reads, outages),
        **checker.vectors(end),
        "lost_writes": checker.lost_writes(end, writes),
        "lock_waits_over_limit": sum(ms > limit for ms in watch.waits.values()),
        "longest_lock_wait_ms": round(max(watch.waits.values(), default=0.0), 1),
        "longest_write_pause_ms": round(float(outages.calm(writes, "at")["ms"].max()), 1),
        "p95_quiet_ms": p95(*proof.phases["quiet"]),
        "p95_busy_ms": p95(*proof.undisturbed),
        "seconds": {name: round(end - start, 1) for name, (start, end) in proof.phases.items()},
        "faults": proof.faults,
    }


if __name__ == "__main__":
    rows, *rest = [*sys.argv[1:], "20000"] if len(sys.argv) < 2 else sys.argv[1:]
    sys.exit(main(int(rows), Path(rest[0]) if rest else ROOT / "runs"))
