"""A deadline for calls that have none of their own."""

import queue
import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def call_within(seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns or raises. Raises TimeoutError after `seconds`; the call itself cannot
    be stopped, and goes on in a thread that keeps no process alive."""
    results: queue.Queue[tuple[T | None, BaseException | None]] = queue.Queue(1)

    def work() -> None:
        try:
            results.put((call(*args, **kwargs), None))
        except BaseException as error:  # raised again where the result is awaited
            results.put((None, error))

    threading.Thread(target=work, daemon=True, name="deadline").start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[return-value]  # T: there was no error
