"""What happens to ragkit's own processes beside a kill: a limit, a stop, a second operator."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.chaos.proof import Proof

MEMORY_BYTES = 60 * 2**20
CGROUPS = {"memory": "memory.limit_in_bytes", "": "memory.max"}
"""By the place below /sys/fs/cgroup: the file of the limit, in version 1 and version 2."""


def memory_limit(proof: Proof) -> None:
    """The kernel kills a backfill that needs more than its cgroup has."""
    with _cgroup() as group:
        if group is None:
            proof.fault("memory limit", "backfill", "not run: no right to make a cgroup here")
            return
        proof.make_pending()
        code = proof.environment.backfill("slow", preexec=lambda: _enter(group)).wait(120)
    runs = proof.environment.run_until_done("backfill")
    proof.fault("memory limit", "backfill", f"exit {code}; complete after {runs} more run(s)")


def frozen_worker(proof: Proof, seconds: float) -> None:
    """One of two backfills is stopped while it holds rows, and goes on later."""
    environment = proof.environment
    proof.make_pending()
    first = environment.backfill("hang,slow")
    environment.wait_for_claim()
    second = environment.backfill("slow")
    first.send_signal(signal.SIGSTOP)
    time.sleep(seconds)
    state = "waits" if second.poll() is None else f"exit {second.poll()}"
    first.send_signal(signal.SIGCONT)
    codes = first.wait(120), second.wait(120)
    environment.run_until_done("backfill")
    proof.fault("SIGSTOP of one of two", "backfill", f"the other one {state}; then exits {codes}")


def two_operators(proof: Proof) -> None:
    """They compare at once."""
    processes = [proof.environment.ragkit("compare") for _ in range(2)]
    codes = sorted(process.wait(300) for process in processes)
    proof.fault("two operators", "compare", f"exits {codes}")
    if 0 not in codes:
        raise RuntimeError(f"of two operators none came through: exits {codes}")


@contextmanager
def _cgroup() -> Iterator[Path | None]:
    """A cgroup with the limit; None where there is no right to make one."""
    for place, limit in CGROUPS.items():
        group = Path("/sys/fs/cgroup") / place / f"ragkit-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text(str(MEMORY_BYTES))
        except OSError:
            if group.exists():
                group.rmdir()
            continue
        try:
            yield group
        finally:
            group.rmdir()
        return
    yield None


def _enter(group: Path) -> None:
    (group / "cgroup.procs").write_text(str(os.getpid()))
