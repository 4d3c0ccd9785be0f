"""A Dask scheduler and its workers: Dask's own commands, as processes on the loopback interface."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from distributed import Client

from tests.conftest import environment

START_SECONDS = 30.0


@dataclass
class DaskCluster:
    """`env` is added to the workers' environment."""

    folder: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)
    scheduler: subprocess.Popen | None = None
    workers: list[subprocess.Popen] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        self.scheduler = self._start(
            "scheduler", "--host=127.0.0.1", f"--port={self.port}", "--no-dashboard", "--no-show"
        )

    def start_worker(self, *options: str, **env: str) -> subprocess.Popen:
        """Of one thread. It waits for a scheduler, and ends without one."""
        worker = self._start(
            "worker", self.address, "--nthreads=1", "--no-dashboard", "--memory-limit=0",
            f"--local-directory={self.folder}", f"--death-timeout={START_SECONDS:.0f}", *options,
            **{**self.env, **env},
        )  # fmt: skip
        self.workers.append(worker)
        return worker

    def wait_for_workers(self, count: int) -> None:
        with Client(self.address, timeout=START_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=START_SECONDS)

    def stop(self) -> None:
        processes = [*self.workers, *filter(None, [self.scheduler])]
        for process in processes:
            process.terminate()  # a nanny takes its worker with it
        end = time.monotonic() + 5
        for process in processes:
            try:
                process.wait(max(0.0, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start(self, command: str, *arguments: str, **env: str) -> subprocess.Popen:
        log = (self.folder / f"{command}.log").open("ab")
        module = f"distributed.cli.dask_{command}"
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdout=log, stderr=log, env=environment(**env), cwd=self.folder,
        )  # fmt: skip


@contextmanager
def serving(folder: Path, workers: int, *options: str, **env: str) -> Iterator[DaskCluster]:
    """With so many workers, which are connected."""
    folder.mkdir(parents=True, exist_ok=True)
    cluster = DaskCluster(folder, _free_port(), env)
    try:
        cluster.start_scheduler()
        for _ in range(workers):
            cluster.start_worker(*options)
        if workers:
            cluster.wait_for_workers(workers)
        yield cluster
    finally:
        cluster.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
