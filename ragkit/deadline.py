"""A deadline for calls that have none of their own."""

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
Outcome = tuple[Any, BaseException | None]
Inbox = queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Outcome]]]

_idle: deque[Inbox] = deque()
"""Of threads that wait for a call: to start one for each call costs more than a search."""
if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_idle.clear)


def call_within(seconds: float, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `call` returns or raises. Raises TimeoutError after `seconds`; the call itself cannot
    be stopped, and goes on in a thread that keeps no process alive."""
    outcomes: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    try:
        inbox = _idle.pop()
    except IndexError:
        inbox = queue.SimpleQueue()
        threading.Thread(target=_work, args=(inbox,), daemon=True, name="deadline").start()
    inbox.put((partial(call, *args, **kwargs), outcomes))
    try:
        result, error = outcomes.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError from None
    if error is not None:
        raise error
    return result  # type: ignore[no-any-return]


def _work(inbox: Inbox) -> None:
    while True:
        _do(*inbox.get())
        _idle.append(inbox)


def _do(call: Callable[[], Any], outcomes: queue.SimpleQueue[Outcome]) -> None:
    try:
        outcomes.put((call(), None))
    except BaseException as error:  # raised again where the result is awaited
        outcomes.put((None, error))
