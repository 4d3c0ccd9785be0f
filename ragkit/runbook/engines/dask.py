"""The workers of a Dask scheduler. https://distributed.dask.org/en/stable/client.html"""

import logging
import platform
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from ragkit.deadline import call_within
from ragkit.errors import EngineAway, EngineError
from ragkit.runbook.extras import needs_extra

CONNECT_SECONDS, ANSWER_SECONDS, CLOSE_SECONDS = 10.0, 10.0, 1.0


class Dask:
    """An Engine. One unit for each worker process; `limit` at once at most, 0: all."""

    def __init__(self, address: str, limit: int):
        """Raises ConfigError without the extra."""
        with needs_extra("dask"):
            import distributed
        self.name, self._address, self._limit = f"Dask at {address}", address, limit
        self._connect: Any = distributed.Client
        self._client: Any = None
        for name in logging.root.manager.loggerDict:
            if name.startswith("distributed"):  # its losses are told here
                logging.getLogger(name).setLevel(logging.CRITICAL)

    @property
    def workers(self) -> int:
        """Raises EngineAway."""
        if self._client is None:
            with self.start():
                return self.workers
        count = len(self._ask(self._client.scheduler_info, -1)["workers"])
        return min(count, self._limit or count)

    @contextmanager
    def start(self) -> Iterator[Executor]:
        """Raises EngineAway without a scheduler or a worker, EngineError when a worker cannot read
        what it is given: it would end without an answer."""
        try:
            client = self._connect(self._address, timeout=CONNECT_SECONDS, set_as_default=False)
        except OSError:
            raise EngineAway(
                f"{self.name}: no scheduler answers in {CONNECT_SECONDS:.0f} s: check "
                "backfill.address, that `dask scheduler` runs there, and the network"
            ) from None
        self._client = client
        try:
            if not self.workers:
                raise EngineAway(f"{self.name} has no worker: start `dask worker` processes")
            self._require_able()
            yield client.get_executor(pure=False)
        finally:
            self._client = None
            client.close(timeout=CLOSE_SECONDS)

    def is_lost(self, error: BaseException) -> bool:
        is_of_dask = type(error).__module__.startswith("distributed.")
        return is_of_dask or isinstance(error, CancelledError)

    def _ask(self, call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Raises EngineAway when the scheduler, or a worker that it asks, is frozen: the client
        would wait without end."""
        try:
            return call_within(ANSWER_SECONDS, call, *arguments, **options)
        except TimeoutError:
            raise EngineAway(
                f"{self.name}: the scheduler, or a worker that it has, does not answer in "
                f"{ANSWER_SECONDS:.0f} s: see their logs, and end what hangs"
            ) from None

    def _require_able(self) -> None:
        workers = self._ask(self._client.get_versions)["workers"]
        pythons = {name: said["host"]["python"] for name, said in workers.items() if said}
        ours = ".".join(platform.python_version_tuple()[:2])
        others = {name: text for name, text in pythons.items() if not text.startswith(f"{ours}.")}
        if others:
            raise EngineError(
                f"workers of {self.name} have another Python than the driver's {ours}: "
                f"{', '.join(f'{name} {text}' for name, text in others.items())}"
            )
        found = self._ask(self._client.run, find_spec, "ragkit", on_error="ignore")
        if bare := [name for name, spec in found.items() if spec is None]:
            raise EngineError(
                f"workers of {self.name} without ragkit: {', '.join(bare)}; install it in their "
                "environment"
            )
