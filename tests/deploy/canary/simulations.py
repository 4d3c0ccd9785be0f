"""Canaries by chance: answers of two revisions that fail, are slow or empty at known rates."""

from dataclasses import dataclass

import numpy as np

from ragkit.deploy.canary.comparisons import Comparisons, Seen
from ragkit.deploy.canary.decision import BACK, ON, look
from ragkit.deploy.canary.limits import Limits

LIMITS = Limits()


@dataclass(frozen=True)
class Revision:
    """`ms` is the median of times that are spread by `spread`, as logarithms."""

    fails: float = 0.01
    ms: float = 100.0
    empty: float = 0.05
    spread: float = 0.5


def simulate(rng, old, new, share, requests, limits=LIMITS, error=0.05):
    """A step in which both answer so many requests. Its tests stand where they would after a look
    at each answer: a test that has decided stays decided."""
    comparisons = Comparisons(limits.slower)
    stream = comparisons.open_stream()
    is_new = rng.random(requests) < share
    chance = rng.random((2, requests))
    times = np.exp(rng.normal(size=requests))
    for number in range(requests):
        side = new if is_new[number] else old
        failed, empty = chance[0, number] < side.fails, chance[1, number] < side.empty
        ms = side.ms * times[number] ** side.spread
        stream.add(Seen(bool(is_new[number]), bool(failed), float(ms), bool(failed or empty)))
    return look(comparisons, limits, round(100 * share), error)


def went_back(now):
    return now.decision == BACK


def went_on(now):
    return now.decision == ON
