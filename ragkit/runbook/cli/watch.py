"""`ragkit status --watch`: one bounded look after another, until it is stopped."""

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import click

from ragkit.errors import DatabaseUnavailable
from ragkit.migration.status import Status
from ragkit.report import words

WATCH_SECONDS, MIN_SECONDS = 2.0, 0.5
"""Between two looks, unless the user says otherwise; no shorter than the second."""
PATIENCE_SECONDS = 5.0
"""A look that takes longer is shown as such. It goes on; no other one is started beside it."""
POLL_SECONDS = 0.1

T = TypeVar("T")


class Seconds(click.FloatRange):
    """As click names it in an error."""

    name = "number of seconds"


@dataclass(frozen=True)
class Look:
    """`status` is None when the database did not answer; `fault` says why."""

    at: datetime
    status: Status | None
    fault: str = ""

    def facts(self) -> dict[str, str]:
        shown = words.facts(self.status) if self.status else {"database": self.fault}
        return {"at": words.value("at", self.at), **shown}


def look_often(read: Callable[[], Status], seconds: float, stop: threading.Event) -> Iterator[Look]:
    """Looks every `seconds` until `stop` is set. Raises what `read` raises, except
    DatabaseUnavailable: a database may be away for a moment."""
    results: queue.Queue[Status | BaseException] = queue.Queue()

    def work() -> None:
        try:
            results.put(read())
        except BaseException as error:  # raised again where it is awaited
            results.put(error)

    while not stop.is_set():
        threading.Thread(target=work, daemon=True, name="look").start()
        start, told = time.monotonic(), False
        while (result := _next(results)) is None and not stop.is_set():
            if not told and time.monotonic() - start > PATIENCE_SECONDS:
                told = True
                yield Look(_now(), None, f"no answer for {PATIENCE_SECONDS:g} s; still waiting")
        if isinstance(result, DatabaseUnavailable):
            yield Look(_now(), None, f"away: {result}")
        elif isinstance(result, BaseException):
            raise result
        elif result is not None:
            yield Look(_now(), result)
        stop.wait(seconds)


def changes(items: Iterable[T], key: Callable[[T], object]) -> Iterator[T]:
    """The items whose key is not that of the one before."""
    before: object = changes  # equal to no key
    for item in items:
        if key(item) != before:
            before = key(item)
            yield item


def _next(results: "queue.Queue[Status | BaseException]") -> Status | BaseException | None:
    try:
        return results.get(timeout=POLL_SECONDS)
    except queue.Empty:
        return None


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)
