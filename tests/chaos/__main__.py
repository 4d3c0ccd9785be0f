"""python -m tests.chaos [ROWS [FOLDER]]: the whole proof. Exit 0 only when nothing is broken."""

import json
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from tests.chaos import checker
from tests.chaos.timeline import draw
from tests.chaos.watch import Watch
from tests.chaos.world import ROOT, World
from tests.conftest import free_port

READS, WRITES = 55.0, 60.0
QUIET_SECONDS, RECOVERY_SECONDS = 10, 5.0
ZERO = ("failed_requests", "stale_vectors", "pending", "lost_writes", "lock_waits_over_limit")


class Proof:
    def __init__(self, world: World):
        self.world = world
        self.faults: list[dict] = []
        self.outages: list[tuple[float, float]] = []
        self.phases: list[tuple[str, float, float]] = []

    def phase(self, name: str, action) -> None:
        began = time.time()
        print(f"{name} …", flush=True)
        action()
        self.phases.append((name, began, time.time()))
        print(f"{name}: {time.time() - began:.1f} s", flush=True)

    def fault(self, kind: str, phase: str, followed: str) -> None:
        self.faults.append({"kind": kind, "phase": phase, "at": time.time(), "followed": followed})

    def expand_and_backfill(self) -> None:
        with self.world.engine.connect() as blocker:  # a forgotten transaction on the table
            blocker.execute(sa.text("select 1 from amenities limit 1"))
            process = self.world.ragkit("backfill")
            time.sleep(5)
            self.fault("a transaction holds the table", "expand", "tried again, others unharmed")
        self._filled(2000)
        process.kill()
        self.fault("kill -9 of the backfill", "backfill", f"exit {process.wait()}; run again")
        process = self.world.ragkit("backfill")
        self._filled(6000)
        dropped = self.world.terminate_backends()
        self.fault("connections dropped", "backfill", f"{dropped} dropped, exit {process.wait()}")
        process = self.world.ragkit("backfill")
        self._filled(10_000)
        self._kill_server("backfill")
        self.faults[-1]["followed"] += f"; backfill exit {process.wait(60)}"
        process = self.world.ragkit("backfill")
        building = "select count(*) from pg_stat_progress_create_index"
        while not self.world.scalar(building) and process.poll() is None:
            time.sleep(0.1)
        process.kill()
        process.wait()
        invalid = "select count(*) from pg_index where not indisvalid"
        self.fault("kill -9 of the build", "index", f"invalid: {self.world.scalar(invalid)}")
        runs = self.world.until_done("backfill")
        self.faults[-1]["followed"] += f"; whole after {runs} run(s)"

    def cut_over_and_back(self) -> None:
        follower = self.world.ragkit("follow")
        time.sleep(3)
        follower.kill()
        self.fault("kill -9 of follow", "follow", f"exit {follower.wait()}; started again")
        follower = self.world.ragkit("follow")
        switching = self.world.ragkit("cutover")
        time.sleep(4)
        switching.kill()
        self.fault("kill -9 of the cut-over", "cut over", f"exit {switching.wait()}; run again")
        self.world.until_done("cutover")
        (self.world.folder / "cut-over").touch()
        time.sleep(5)
        self._kill_server("cut over")
        self.world.until_done("rollback")
        time.sleep(3)
        self.world.until_done("cutover")
        time.sleep(3)
        self.follower = follower

    def settle(self) -> None:
        """The writers are gone: the follower ends its work."""
        self.world.until_done("backfill")
        deadline = time.time() + 30
        while (
            self.world.scalar(
                "select count(*) from amenities where embedding is null or embedding_256 is null"
            )
            and time.time() < deadline
        ):
            time.sleep(0.5)
        self.follower.terminate()
        self.follower.wait(30)

    def _filled(self, rows: int) -> None:
        """Waits until that many are; a smaller table is waited for in proportion."""
        wanted, deadline = rows * self.world.rows // 20_000, time.time() + 300
        while time.time() < deadline:
            try:
                if self.world.scalar("select count(embedding_256) from amenities") >= wanted:
                    return
            except sa.exc.DBAPIError:
                pass
            time.sleep(0.1)
        raise RuntimeError("the backfill does not get on")

    def _kill_server(self, phase: str) -> None:
        began = time.time()
        self.world.sandbox.postgres.kill()
        time.sleep(1)
        self.world.sandbox.postgres.start()
        self.outages.append((began, time.time()))
        self.fault("kill -9 of PostgreSQL", phase, f"back after {time.time() - began:.1f} s")


def main(rows: int, runs: Path) -> int:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = runs / f"chaos-{stamp}"
    run_dir.mkdir(parents=True)
    with tempfile.TemporaryDirectory(prefix="chaos ") as folder:
        world = World(Path(folder), free_port(), rows, run_dir / "ragkit.log")
        try:
            found = prove(world, run_dir)
        finally:
            world.sandbox.remove()
    (run_dir / "chaos.json").write_text(json.dumps(found, indent=2) + "\n")
    print(f"\n{'invariant':28} found   limit")
    for name in ZERO:
        print(f"{name:28} {found[name]:>5}   0")
    for name, limit in (("longest_write_pause_ms", 250), ("seconds_to_recover", RECOVERY_SECONDS)):
        print(f"{name:28} {found[name]:>5}   goal {limit:g}")
    print(f"report: {run_dir / 'chaos.json'}")
    return int(any(found[name] for name in ZERO))


def prove(world: World, run_dir: Path) -> dict:
    proof, watch = Proof(world), Watch(world.sandbox.url)
    proof.phase("build", world.build)
    reads, writes = run_dir / "reads.jsonl", run_dir / "writes.jsonl"
    with ExitStack() as beside:
        url = world.sandbox.url.render_as_string()
        beside.enter_context(
            world.process("tests.chaos.readers", world.sandbox.app.url, reads, READS)
        )
        with world.process(
            "tests.chaos.writers", url, writes, world.folder / "cut-over", WRITES, world.rows
        ):
            watch.start()
            proof.phase("quiet", lambda: time.sleep(QUIET_SECONDS * world.rows / 20_000))
            proof.phase("backfill", proof.expand_and_backfill)
            proof.phase("cut over", proof.cut_over_and_back)
        proof.phase("settle", proof.settle)
    watch.stop.set()
    return figures(proof, watch, checker.lines(reads), checker.lines(writes), run_dir)


def figures(proof: Proof, watch: Watch, reads, writes, run_dir: Path) -> dict:
    world, spans = proof.world, {name: (start, end) for name, start, end in proof.phases}

    outages = checker.Outages(proof.outages, RECOVERY_SECONDS)
    calm = outages.calm(reads, "due")

    def p95(name: str) -> float:
        start, end = spans[name]
        inside = calm[(calm["due"] >= start) & (calm["due"] <= end)]
        return round(float(np.percentile(inside["ms"], 95)), 1)

    limit = world.plan.lock_timeout_ms
    draw(run_dir / "timeline.png", reads, writes, proof.phases, proof.faults)
    return {
        "rows": world.rows,
        "writes": len(writes),
        **checker.requests(reads, outages),
        **checker.vectors(world),
        "lost_writes": checker.lost_writes(world, writes),
        "lock_waits_over_limit": sum(ms > limit for ms in watch.waits.values()),
        "longest_lock_wait_ms": round(max(watch.waits.values(), default=0.0), 1),
        "longest_write_pause_ms": round(float(outages.calm(writes, "at")["ms"].max()), 1),
        "p95_quiet_ms": p95("quiet"),
        "p95_busy_ms": p95("backfill"),
        "seconds": {name: round(end - start, 1) for name, start, end in proof.phases},
        "faults": proof.faults,
    }


if __name__ == "__main__":
    rows, *rest = [*sys.argv[1:], "20000"] if len(sys.argv) < 2 else sys.argv[1:]
    sys.exit(main(int(rows), Path(rest[0]) if rest else ROOT / "runs"))
