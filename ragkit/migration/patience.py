"""Patience with a database that is away for a moment: a failover, a proxy that restarts."""

from collections.abc import Callable
from typing import TypeVar

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from ragkit.errors import DatabaseUnavailable

SECONDS = 60.0
T = TypeVar("T")


def patiently(do: Callable[..., T], *arguments: object) -> T:
    """Does it again with jitter while the database is away. Raises DatabaseUnavailable when it
    is still so after SECONDS. `do` must be safe to be done twice."""
    return Retrying(
        retry=retry_if_exception_type(DatabaseUnavailable),
        wait=wait_random_exponential(multiplier=0.2, max=5),
        stop=stop_after_delay(SECONDS),
        reraise=True,
    )(do, *arguments)
