"""How well workers keep to a quota, by the log of the service that they ask."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from typing import Protocol


class Request(Protocol):
    """When it came, in seconds of any clock, and its tokens."""

    @property
    def at(self) -> float: ...

    @property
    def tokens(self) -> int: ...


def quota_error(
    log: Sequence[Request], requests_per_minute: float = 0, tokens_per_minute: float = 0
) -> float:
    """|served rate / quota - 1|, of the quota that was used most; 0 is no quota. Of a `log` of
    steady work: what a start and an end take is for the caller to leave out.

    A request takes its time after it, so the last one counts for nothing.
    """
    first, *_, last = ordered = sorted(log, key=lambda request: request.at)
    minutes = (last.at - first.at) / 60
    used = []
    if requests_per_minute:
        used.append((len(ordered) - 1) / minutes / requests_per_minute)
    if tokens_per_minute:
        used.append(sum(r.tokens for r in ordered[:-1]) / minutes / tokens_per_minute)
    return abs(max(used) - 1)


def between(log: Sequence[Request], start: float, end: float) -> list[Request]:
    """Those that came from `start` on, before `end`, in their order."""
    return sorted((r for r in log if start <= r.at < end), key=lambda request: request.at)


def windows(log: Sequence[Request], seconds: float) -> Iterator[list[Request]]:
    """What came within `seconds`, from each request on."""
    ordered = sorted(log, key=lambda request: request.at)
    times = [request.at for request in ordered]
    for first, at in enumerate(times):
        yield ordered[first : bisect_left(times, at + seconds)]
