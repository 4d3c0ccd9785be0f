"""Reads ahead of a consumer, in a thread, up to a bounded number of items."""

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_END = object()
CLOSE_SECONDS = 5.0
CHECK_SECONDS = 0.1
"""How often a reader that is ahead looks whether it is to stop."""


class Prefetch(Generic[T]):
    """The items of an iterator, which runs in a thread of its own until `close`."""

    def __init__(self, items: Iterator[T], ahead: int):
        self._items, self._read = items, queue.Queue[object](ahead)
        self._closed = threading.Event()
        self._error: Exception | None = None
        self.ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def next(self, seconds: float) -> T | None:
        """The next item; None when there is none yet after `seconds`, or, with `ended`, no more.

        Raises what the iterator raised.
        """
        if self.ended:
            return None
        try:
            item = self._read.get(timeout=seconds) if seconds else self._read.get_nowait()
        except queue.Empty:
            return None
        if item is _END:
            self.ended = True
            if self._error:
                raise self._error
            return None
        return item  # type: ignore[return-value]  # put there by _run

    def close(self) -> None:
        """Nothing more is read; an item that is being read is finished first, if it can be."""
        self._closed.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            for item in self._items:
                if not self._put(item):
                    return
        except Exception as error:
            self._error = error
        self._put(_END)

    def _put(self, item: object) -> bool:
        """False when nobody wants it any more."""
        while not self._closed.is_set():
            try:
                self._read.put(item, timeout=CHECK_SECONDS)
                return True
            except queue.Full:
                continue
        return False
