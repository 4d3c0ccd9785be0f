"""A migration under traffic, with faults in every phase, one after the other."""

import subprocess
import time
from collections.abc import Callable

import sqlalchemy as sa

from tests.chaos.environment import ChaosEnvironment

BEHAVIOURS = "slow,busy,nan,busy,hang,fewer,slow"
"""Of the model, in one backfill."""
INDEX_BUILDER = "select pid from pg_stat_progress_create_index"
MAX_WAIT_SECONDS = 300
ROWS_AT_ONCE = 20


class Proof:
    """`faults`: kind, phase, time and consequence. `outages`: spans in which the server was dead.
    `phases` and `backfill_without_fault` are spans too: start and end."""

    def __init__(self, environment: ChaosEnvironment):
        self.environment = environment
        self.faults: list[dict] = []
        self.outages: list[tuple[float, float]] = []
        self.phases: dict[str, tuple[float, float]] = {}
        self.backfill_without_fault = (0.0, 0.0)

    def phase(self, name: str, action: Callable[[], object]) -> None:
        start = time.time()
        print(f"{name} …", flush=True)
        action()
        self.phases[name] = (start, time.time())
        print(f"{name}: {time.time() - start:.1f} s", flush=True)

    def fault(self, kind: str, phase: str, followed: str) -> None:
        self.faults.append({"kind": kind, "phase": phase, "at": time.time(), "followed": followed})

    def expand_and_backfill(self) -> None:
        environment = self.environment
        with environment.engine.connect() as idle_in_transaction:
            idle_in_transaction.execute(sa.text("select 1 from amenities limit 1"))
            process = environment.backfill("slow")
            time.sleep(3)
            self.fault("a transaction holds the table", "expand", "expand waits and tries again")
        self._wait_until_filled(0.1, process)
        self._kill(process, "backfill")
        process = environment.backfill("slow")
        self._wait_until_filled(0.12, process)
        start = time.time()
        self._wait_until_filled(0.4, process)
        self.backfill_without_fault = (start, time.time())
        dropped = environment.drop_connections()
        self.fault("connections dropped", "backfill", f"{dropped} dropped")
        self._wait_until_filled(0.45, process)
        self.faults[-1]["followed"] += f"; backfill's exit: {process.poll()}"
        self._kill(process, "backfill")
        process = environment.backfill("slow,dimension")
        self.fault("the model's dimension is wrong", "backfill", f"exit {process.wait()}")
        process = environment.backfill(BEHAVIOURS)
        self._wait_until_filled(0.65, process)
        self.fault("the model: 429, NaN, hangs, fewer vectors", "backfill", "retried")
        self._kill_server("backfill")
        self._wait_until_filled(0.8, process)
        self.faults[-1]["followed"] += f"; backfill's exit: {process.poll()}"
        self._kill(process, "backfill")
        self._interrupt_index_build()

    def _interrupt_index_build(self) -> None:
        environment = self.environment
        process = environment.ragkit("backfill")
        while not (pid := environment.scalar(INDEX_BUILDER)) and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        dropped = bool(pid and environment.drop_connections(pid))
        invalid = environment.scalar("select count(*) from pg_index where not indisvalid")
        self.fault("kill -9 of the build", "index", f"dropped: {dropped}; invalid left: {invalid}")
        process.wait()
        runs = environment.run_until_done("backfill")
        self.faults[-1]["followed"] += f"; valid after {runs} run(s)"

    def make_pending(self) -> None:
        """Some rows lose their new vector, as after an edit; a few at a time, so that nobody waits
        for this proof."""
        lost = sa.text("update amenities set embedding_256 = null where id = any(:keys)")
        keys = range(10, self.environment.rows + 1, 10)
        for start in range(0, len(keys), ROWS_AT_ONCE):
            with self.environment.engine.begin() as connection:
                connection.execute(lost, {"keys": list(keys[start : start + ROWS_AT_ONCE])})

    def compare(self) -> None:
        """While a follower fills the rows of the writers."""
        environment = self.environment
        follower = environment.ragkit("follow")
        time.sleep(3)
        self._kill(follower, "follow")
        self.follower = environment.ragkit("follow")
        process = environment.ragkit("compare")
        time.sleep(2)
        self._kill(process, "compare")
        exit_code = environment.ragkit("compare").wait(MAX_WAIT_SECONDS)
        self.faults[-1]["followed"] += f"; then exit {exit_code} (0 is GO)"

    def cut_over_and_back(self) -> None:
        environment = self.environment
        cutover = environment.ragkit("cutover")
        time.sleep(3)
        self._kill(cutover, "cut over")
        environment.run_until_done("cutover")
        environment.cut_over_flag.touch()
        time.sleep(1)
        self._kill_server("cut over")
        rollback = environment.ragkit("rollback")
        time.sleep(3)
        self._kill(rollback, "roll back")
        environment.run_until_done("rollback")
        time.sleep(1)
        environment.run_until_done("cutover")
        time.sleep(1)

    def settle(self) -> None:
        """After the last write: waits until the follower has filled both columns."""
        self.environment.run_until_done("backfill")
        missing = "select count(*) from amenities where embedding is null or embedding_256 is null"
        deadline = time.time() + 30
        while self.environment.scalar(missing) and time.time() < deadline:
            time.sleep(0.5)
        self.follower.terminate()
        self.follower.wait(30)

    def retire(self) -> None:
        self.environment.change_plan({"old.retire": True})
        process = self.environment.ragkit("retire")
        time.sleep(1)
        self._kill(process, "retire")
        self.environment.run_until_done("retire")
        time.sleep(1)

    def _kill(self, process: subprocess.Popen, phase: str) -> None:
        process.kill()
        self.fault(f"kill -9 of {phase}", phase, f"exit {process.wait()}; run again")

    def _wait_until_filled(self, share: float, backfill: subprocess.Popen) -> None:
        """Waits until `share` of the rows has a new vector. Raises RuntimeError when the backfill
        ends before it, or takes too long."""
        deadline = time.time() + MAX_WAIT_SECONDS
        while time.time() < deadline:
            try:
                if self.environment.count_filled() >= share * self.environment.rows:
                    return
            except sa.exc.DBAPIError:
                pass
            if backfill.poll():
                log = self.environment.log.read_text()
                raise RuntimeError(f"the backfill ended with exit {backfill.poll()}: {log[-2000:]}")
            time.sleep(0.05)
        raise RuntimeError(f"the backfill did not fill {share:.0%} in {MAX_WAIT_SECONDS} s")

    def _kill_server(self, phase: str) -> None:
        start = time.time()
        self.environment.sandbox.postgres.kill()
        time.sleep(1)
        self.environment.sandbox.postgres.start()
        self.outages.append((start, time.time()))
        self.fault("kill -9 of PostgreSQL", phase, f"back after {time.time() - start:.1f} s")
