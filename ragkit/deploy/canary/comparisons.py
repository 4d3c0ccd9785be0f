"""From two streams of answers to comparisons of the new revision with the old one.

Answers of the new revision are compared with those of the old one that came at the same time: what
befalls both, such as a slow database, is no fault of either. Each comparison is a block: it begins
with the end of the one before, and ends as soon as both revisions have answered in it. Its value is
the mean of the new one's answers less the mean of the old one's, from -1 to 1. The traffic is
divided at random, so the mean of a comparison, whatever came before, is the difference of the two
revisions.
"""

from bisect import insort
from dataclasses import dataclass
from math import ceil, inf

import numpy as np

from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW

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
        self.values: dict[str, list[float]] = {n: [] for n in (ERRORS, SLOW, EMPTY, OVERLAP)}
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
        self._errors, self._empty = _Blocks(values[ERRORS]), _Blocks(values[EMPTY])
        self._slow = _SlowBlocks(values[SLOW], slower)

    def add(self, seen: Seen) -> None:
        self._comparisons.answers += seen.is_new and seen.failed is not None
        if seen.failed is not None:
            self._errors.add(seen.is_new, float(seen.failed))
        if seen.ms is not None:  # an answer that failed is slower than any
            self._slow.add(seen.is_new, inf if seen.failed else seen.ms)
        if seen.empty is not None:
            self._empty.add(seen.is_new, float(seen.empty))


class _Blocks:
    def __init__(self, values: list[float]):
        self._values = values
        self._new: list[float] = []
        self._old: list[float] = []

    def add(self, is_new: bool, value: float) -> None:
        (self._new if is_new else self._old).append(value)
        if self._new and self._old:
            if (difference := self._difference(self._new, self._old)) is not None:
                self._values.append(difference)
            self._new, self._old = [], []

    def _difference(self, new: list[float], old: list[float]) -> float | None:
        return float(np.mean(new) - np.mean(old))


class _SlowBlocks(_Blocks):
    """The share of the new one's answers beyond `slower` times a limit less the share of the old
    one's beyond the limit. Where the new one is at most so many times slower, that is never more
    than 0, whatever the limit; it is the old one's 95th percentile before this block."""

    def __init__(self, values: list[float], slower: float):
        super().__init__(values)
        self._slower = slower
        self._before: list[float] = []  # the old one's times, sorted

    def _difference(self, new: list[float], old: list[float]) -> float | None:
        limit = _percentile(self._before) if self._before else None
        for ms in old:
            insort(self._before, ms)
        if limit is None:
            return None
        return float(
            np.mean(np.array(new) >= self._slower * limit) - np.mean(np.array(old) >= limit)
        )


def _percentile(ordered: list[float]) -> float:
    return ordered[ceil((1 - SLOW_SHARE) * len(ordered)) - 1]
