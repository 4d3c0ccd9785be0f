"""Processes of this machine that do not outlive the one that has started them, however it ends."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess


class _Worker(SpawnProcess):
    """Ctrl-C reaches all processes of a terminal, or of a notebook's kernel: only the parent
    answers to it."""

    def start(self) -> None:
        with _without_interrupts():
            super().start()

    def run(self) -> None:
        threading.Thread(target=_end_with_parent, daemon=True).start()
        super().run()


class Workers(SpawnContext):
    """For a ProcessPoolExecutor. They are not forked: the parent has threads."""

    Process = _Worker

    def __init__(self) -> None:
        super().__init__()
        _start_quiet_tracker()


def _start_quiet_tracker() -> None:
    """Python's process that removes the semaphores of a command which ends at once would warn of
    each as of a fault, below the command's last line."""
    name = "PYTHONWARNINGS"
    before = os.environ.get(name)
    os.environ[name] = "ignore"
    try:
        resource_tracker.ensure_running()
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before


def _end_with_parent() -> None:
    """A pool's process would wait for work for ever, and hold its sessions. What it has claimed is
    free when its lease ends."""
    if parent := parent_process():
        wait([parent.sentinel])
        os._exit(1)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """A process that is started meanwhile keeps it so."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
