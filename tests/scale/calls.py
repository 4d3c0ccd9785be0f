"""What the API's log says about a run: calls, those paid for twice, and the rate."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Call:
    """`at` and `until` are UNIX times; `rows` their numbers."""

    at: float
    until: float
    tokens: int
    rows: tuple[int, ...]


def read(log: Path) -> list[Call]:
    """In the order of their arrival."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    calls = [Call(**{**line, "rows": tuple(line["rows"])}) for line in lines]
    return sorted(calls, key=lambda call: call.at)


def paid_twice(calls: list[Call]) -> int:
    """Calls with a row that an earlier one had."""
    seen: set[int] = set()
    twice = 0
    for call in calls:
        twice += not seen.isdisjoint(call.rows)
        seen.update(call.rows)
    return twice


def between(calls: list[Call], start: float, end: float) -> list[Call]:
    """Those that arrived in this time."""
    return [call for call in calls if start <= call.at < end]


def running(calls: list[Call], at: float) -> int:
    """How many were being answered."""
    return sum(call.at <= at < call.until for call in calls)


def quota_error(calls: list[Call], per_minute: float) -> float:
    """How far the rate of the calls is from the quota, as a share of it. `calls` without a gap."""
    seconds = calls[-1].at - calls[0].at
    return abs(60 * (len(calls) - 1) / seconds / per_minute - 1)


def excess(calls: list[Call], per_minute: float, window: float = 10.0) -> float:
    """By how much the busiest `window` seconds had more calls than the quota allows, as a share of
    it; one call is no excess."""
    allowed, most, first = window * per_minute / 60, 0, 0
    for last, call in enumerate(calls):
        while call.at - calls[first].at >= window:
            first += 1
        most = max(most, last - first + 1)
    return max(0.0, (most - 1) / allowed - 1)
