"""From two streams of answers to comparisons of the new revision with the old one.

Answers of the new revision are compared with those of the old one that came at the same time: what
befalls both, such as a slow database, is no fault of either. Each comparison is a block: it begins
with the end of the one before, and ends as soon as both revisions have answered in it. Its value is
the mean of the new one's answers less the mean of the old one's, from -1 to 1. The traffic is
divided at random, so the mean of a comparison, whatever came before, is the difference of the two
revisions.
"""

from bisect import insort
from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, inf

from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW

SLOWER = "slower"
"""Beside SLOW: comparisons with so many times the limit."""
SLOW_SHARE = 0.05
"""Of the old revision's answers are slow: those beyond its 95th percentile."""


@dataclass(frozen=True)
class Seen:
    """One answer, as far as it was observed; the rest is None."""

    is_new: bool
    failed: bool | None = None
    ms: float | None = None
    empty: bool | None = None


class Comparisons:
    """`values`: by test, the comparisons in the order in which they were made."""

    def __init__(self, slower: float):
        self.answers = 0  # of the new revision
        names = (ERRORS, SLOW, SLOWER, EMPTY, OVERLAP)
        self.values: dict[str, list[float]] = {name: [] for name in names}
        self._slower = slower

    def open_stream(self) -> "Stream":
        """Answers of live traffic and those to ragkit's own questions are never compared with one
        another: each kind is a stream."""
        return Stream(self, self._slower)

    def add_shadow(self, overlap: float, old_empty: bool, new_empty: bool) -> None:
        """Both answers to one question of an app's user. Neither their errors, as only answered
        questions have a shadow, nor their times, as a shadow waits, can be compared."""
        self.values[OVERLAP].append(overlap)
        self.values[EMPTY].append(float(new_empty) - old_empty)


class Stream:
    """Answers of one kind, in the order in which they came."""

    def __init__(self, comparisons: Comparisons, slower: float):
        self._comparisons, values = comparisons, comparisons.values
        self._errors = _Blocks(_differences(values[ERRORS]))
        self._empty = _Blocks(_differences(values[EMPTY]))
        self._slow = _Blocks(_SlowAnswers(values, slower).compare)

    def add(self, seen: Seen) -> None:
        self._comparisons.answers += seen.is_new and seen.failed is not None
        if seen.failed is not None:
            self._errors.add(seen.is_new, float(seen.failed))
        if seen.ms is not None:  # an answer that failed is slower than any
            self._slow.add(seen.is_new, inf if seen.failed else seen.ms)
        if seen.empty is not None:
            self._empty.add(seen.is_new, float(seen.empty))


class _Blocks:
    """`compare` takes the answers of the new and of the old revision in a block."""

    def __init__(self, compare: Callable[[list[float], list[float]], None]):
        self._compare = compare
        self._new: list[float] = []
        self._old: list[float] = []

    def add(self, is_new: bool, value: float) -> None:
        (self._new if is_new else self._old).append(value)
        if self._new and self._old:
            self._compare(self._new, self._old)
            self._new, self._old = [], []


class _SlowAnswers:
    """Shares of answers beyond a limit: the old one's 95th percentile before this block. Where the
    new revision is not slower, its share is not larger, whatever the limit; and where it is at most
    `slower` times slower, its share beyond so many times the limit is not."""

    def __init__(self, values: dict[str, list[float]], slower: float):
        self._values, self._slower = values, slower
        self._before: list[float] = []  # the old one's times, sorted

    def compare(self, new: list[float], old: list[float]) -> None:
        if self._before:
            limit = _percentile(self._before)
            old_share = _share(old, limit)
            for name, factor in ((SLOW, 1.0), (SLOWER, self._slower)):
                self._values[name].append(_share(new, factor * limit) - old_share)
        for ms in old:
            insort(self._before, ms)


def _differences(values: list[float]) -> Callable[[list[float], list[float]], None]:
    return lambda new, old: values.append(sum(new) / len(new) - sum(old) / len(old))


def _share(times: list[float], limit: float) -> float:
    return sum(ms >= limit for ms in times) / len(times)


def _percentile(ordered: list[float]) -> float:
    return ordered[ceil((1 - SLOW_SHARE) * len(ordered)) - 1]
