"""Ctrl-C and SIGTERM end a command within STOP_SECONDS, whatever it waits for.

Every step may be killed at any point, so a model that hangs or a database that is silent is not
waited for: what was written stays.
"""

import os
import signal
import threading
from types import FrameType
from typing import NoReturn

STOP_SECONDS = 1.5
MESSAGE = "stopped: run this again, it continues from where it was"


def stop_on_signals(stop: threading.Event | None = None) -> None:
    """From now on, Ctrl-C and SIGTERM raise KeyboardInterrupt, or set `stop` where there is one."""

    def handle(number: int, _: FrameType | None) -> None:
        killer = threading.Timer(STOP_SECONDS, end, [128 + number])
        killer.daemon = True
        killer.start()
        if stop is None:
            raise KeyboardInterrupt
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, handle)


def end(code: int) -> NoReturn:
    """An orderly exit would wait for the thread of a model that hangs."""
    os.write(2, f"{MESSAGE}\n".encode())
    os._exit(code)
