"""Retry policies: one for each failure that passes. All wait with jitter and have a deadline."""

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_exception_type,
    stop_after_attempt,
    stop_after_delay,
    stop_before_delay,
    wait_fixed,
    wait_random_exponential,
)

from ragkit.errors import DatabaseUnavailable, LostRace, ModelBusy, SandboxError

DATABASE_SECONDS = 60.0
"""How long a database may be away: a failover, a restarted proxy."""
SERVER_START_SECONDS = 8.0
RACES = 4

P = ParamSpec("P")
T = TypeVar("T")


def retry_database(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Repeats `call` while the database is away. `call` must be safe to repeat.

    Raises DatabaseUnavailable when the database is still away after DATABASE_SECONDS.
    """
    policy = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(DATABASE_SECONDS),
        reraise=True,
    )
    return policy(call, *args, **kwargs)


def database_until_stopped(stop: threading.Event) -> Retrying:
    """Retries while the database is away, or a statement gives way to another transaction, until
    `stop` is set: for a follower."""

    def stopped(_: RetryCallState) -> bool:
        return stop.is_set()

    return Retrying(
        retry=retry_if_exception_type((DatabaseUnavailable, LostRace)),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stopped,
        reraise=True,
    )


def lost_race() -> Retrying:
    """Retries a write that gave way to another transaction, some times."""
    return Retrying(
        retry=retry_if_exception_type(LostRace),
        wait=wait_random_exponential(multiplier=0.05, max=1),
        stop=stop_after_attempt(RACES),
        reraise=True,
    )


def busy_model(seconds: float, idle: Callable[[], float] = lambda: 0.0) -> Retrying:
    """Retries a model that is busy (429, 5xx, a timeout) for `seconds`: as late as it asks to be
    left alone, and not at all if that ends later. `idle`: for how long it was not asked since, for
    other reasons, in seconds."""

    def stop(state: RetryCallState) -> bool:
        elapsed = (state.seconds_since_start or 0.0) - idle()
        return elapsed >= seconds or elapsed + _asked_seconds(state) > seconds

    return Retrying(
        retry=retry_if_exception_type(ModelBusy), wait=_as_asked, stop=stop, reraise=True
    )


def asked_to_wait(seconds: float) -> Retrying:
    """The same, and no attempt later than in `seconds`."""
    return Retrying(
        retry=retry_if_exception_type(ModelBusy),
        wait=_as_asked,
        stop=stop_before_delay(seconds),
        reraise=True,
    )


_jitter = wait_random_exponential(multiplier=0.5, max=30)


def _as_asked(state: RetryCallState) -> float:
    return max(_jitter(state), _asked_seconds(state))


def _asked_seconds(state: RetryCallState) -> float:
    """What the service asks for; 0 where it does not say."""
    error = state.outcome.exception() if state.outcome else None
    return float(getattr(error, "wait_seconds", 0.0))


def table_lock(blocked: Callable[[BaseException], bool], seconds: float) -> Retrying:
    """Retries a schema statement for `seconds`, while `blocked` says that a lock stops it."""
    return Retrying(
        retry=retry_if_exception(blocked),
        wait=wait_random_exponential(multiplier=0.1, max=1),
        stop=stop_after_delay(seconds),
        reraise=True,
    )


def server_start() -> Retrying:
    """Retries the start of the embedded server: the children of a killed one end first."""
    return Retrying(
        retry=retry_if_exception_type(SandboxError),
        wait=wait_fixed(0.5),
        stop=stop_after_delay(SERVER_START_SECONDS),
        reraise=True,
    )
