"""The faults, one after the other, in every phase of a migration under traffic."""

import time
from collections.abc import Callable

import sqlalchemy as sa

from tests.chaos.world import World

MOODS = "slow,busy,nan,busy,hang,fewer,slow"
BUILDING = "select pid from pg_stat_progress_create_index"


class Proof:
    """`faults`: kind, phase, time, what followed. `outages`: when the server itself was dead.
    `phases` and `undisturbed` (a backfill without a fault) are spans: start and end."""

    def __init__(self, world: World):
        self.world = world
        self.faults: list[dict] = []
        self.outages: list[tuple[float, float]] = []
        self.phases: dict[str, tuple[float, float]] = {}
        self.undisturbed = (0.0, 0.0)

    def phase(self, name: str, action: Callable[[], object]) -> None:
        began = time.time()
        print(f"{name} …", flush=True)
        action()
        self.phases[name] = (began, time.time())
        print(f"{name}: {time.time() - began:.1f} s", flush=True)

    def fault(self, kind: str, phase: str, followed: str) -> None:
        self.faults.append({"kind": kind, "phase": phase, "at": time.time(), "followed": followed})

    def expand_and_backfill(self) -> None:
        with self.world.engine.connect() as forgotten:
            forgotten.execute(sa.text("select 1 from amenities limit 1"))
            process = self.world.backfill("slow")
            time.sleep(4)
            self.fault("a transaction holds the table", "expand", "stepped aside, tried again")
        self._filled(0.1)
        self._killed(process, "backfill")
        process = self.world.backfill("slow")
        self._filled(0.12)
        began = time.time()
        self._filled(0.4)
        self.undisturbed = (began, time.time())
        dropped = self.world.drop_connections()
        self.fault("connections dropped", "backfill", f"{dropped} dropped")
        self._filled(0.45)
        self.faults[-1]["followed"] += f"; backfill's exit: {process.poll()}"
        self._killed(process, "backfill")
        process = self.world.backfill("slow,dimension")
        self.fault("the model's dimension is wrong", "backfill", f"exit {process.wait()}")
        process = self.world.backfill(MOODS)
        self._filled(0.65)
        self.fault("the model: 429, NaN, hangs, fewer vectors", "backfill", "asked again")
        self._kill_server("backfill")
        self._filled(0.8)
        self.faults[-1]["followed"] += f"; backfill's exit: {process.poll()}"
        self._killed(process, "backfill")
        self._index()

    def _index(self) -> None:
        process = self.world.ragkit("backfill")
        while not (pid := self.world.scalar(BUILDING)) and process.poll() is None:
            time.sleep(0.05)
        process.kill()
        dropped = bool(pid and self.world.drop_connections(pid))
        invalid = self.world.scalar("select count(*) from pg_index where not indisvalid")
        self.fault("kill -9 of the build", "index", f"dropped: {dropped}; invalid left: {invalid}")
        process.wait()
        runs = self.world.until_done("backfill")
        self.faults[-1]["followed"] += f"; whole after {runs} run(s)"

    def compare(self) -> None:
        """Beside a follower, which keeps up with the writers."""
        follower = self.world.ragkit("follow")
        time.sleep(3)
        self._killed(follower, "follow")
        self.follower = self.world.ragkit("follow")
        time.sleep(3)
        process = self.world.ragkit("compare")
        time.sleep(2)
        self._killed(process, "compare")
        verdict = self.world.ragkit("compare").wait(300)
        self.faults[-1]["followed"] += f"; then exit {verdict} (0 is GO)"

    def cut_over_and_back(self) -> None:
        switching = self.world.ragkit("cutover")
        time.sleep(3)
        self._killed(switching, "cut over")
        self.world.until_done("cutover")
        self.world.old_model_is_gone.touch()
        time.sleep(3)
        self._kill_server("cut over")
        back = self.world.ragkit("rollback")
        time.sleep(3)
        self._killed(back, "roll back")
        self.world.until_done("rollback")
        time.sleep(2)
        self.world.until_done("cutover")
        time.sleep(2)

    def settle(self) -> None:
        """The writers are gone: the follower ends its work."""
        self.world.until_done("backfill")
        missing = "select count(*) from amenities where embedding is null or embedding_256 is null"
        deadline = time.time() + 30
        while self.world.scalar(missing) and time.time() < deadline:
            time.sleep(0.5)
        self.follower.terminate()
        self.follower.wait(30)

    def retire(self) -> None:
        self.world.set(retire=True)
        process = self.world.ragkit("retire")
        time.sleep(1)
        self._killed(process, "retire")
        self.world.until_done("retire")
        time.sleep(2)

    def _killed(self, process, phase: str) -> None:
        process.kill()
        self.fault(f"kill -9 of {phase}", phase, f"exit {process.wait()}; run again")

    def _filled(self, share: float) -> None:
        """Waits until that share of the rows is."""
        deadline = time.time() + 300
        while time.time() < deadline:
            try:
                if self.world.filled() >= share * self.world.rows:
                    return
            except sa.exc.DBAPIError:
                pass
            time.sleep(0.05)
        raise RuntimeError("the backfill does not get on")

    def _kill_server(self, phase: str) -> None:
        began = time.time()
        self.world.sandbox.postgres.kill()
        time.sleep(1)
        self.world.sandbox.postgres.start()
        self.outages.append((began, time.time()))
        self.fault("kill -9 of PostgreSQL", phase, f"back after {time.time() - began:.1f} s")
