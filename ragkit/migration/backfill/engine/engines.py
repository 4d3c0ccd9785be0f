"""What runs units: anything that can make a concurrent.futures.Executor. None is imported here but
Python's own processes."""

from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from ragkit.migration.backfill.engine.processes import Workers


class Engine(Protocol):
    """Started again when it was lost. `name` as in the plan."""

    name: str

    @property
    def workers(self) -> int:
        """Units at once; of one that is started, so many as it has now. Raises EngineError."""
        ...

    def start(self) -> AbstractContextManager[Executor]:
        """Raises EngineError. At its end, no further unit starts, and no running one is waited
        for."""
        ...

    def is_lost(self, error: BaseException) -> bool:
        """Whether it says that a worker or the engine is gone, and nothing about the work."""
        ...


class Processes:
    """Processes of this machine, which end with this one. When one of them dies, all are started
    again."""

    name = "local"

    def __init__(self, workers: int):
        self.workers = workers

    @contextmanager
    def start(self) -> Iterator[Executor]:
        pool = ProcessPoolExecutor(self.workers, Workers())
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def is_lost(self, error: BaseException) -> bool:
        return isinstance(error, BrokenExecutor)
