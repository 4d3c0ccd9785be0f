"""How many answers a decision will take, said before the first one is seen."""

from dataclasses import dataclass

import numpy as np

from ragkit.deploy.canary.comparisons import SLOW_SHARE
from ragkit.deploy.canary.limits import Limits
from ragkit.sequential.betting import ERROR, sequential_test

MOST = 20_000
"""Comparisons: what takes more is not told."""
TAIL = 3.0
"""The share of answers that are slower than a time falls by its power, in the calm case that is
assumed here: of those slower than t, one in 2**3 is slower than 2 t."""


@dataclass(frozen=True)
class Needed:
    """Comparisons of one step, about: `alike` until a revision goes on that is like the old one,
    which fails rarely; `worse` until one is taken back that fails by the limit more often;
    `failing` until one is that fails always. None for more than MOST."""

    alike: int | None
    worse: int | None
    failing: int | None


def needed(limits: Limits, steps: int) -> Needed:
    """Of each of so many `steps`, as their tests share the error."""
    error = ERROR / max(steps, 1) / len(limits.tests)

    def decided(limit: float, values: np.ndarray) -> int | None:
        return sequential_test(values, limit, error=error).decided_at

    beyond = SLOW_SHARE * limits.slower**-TAIL
    alike = [
        decided(limits.errors, np.zeros(MOST)),
        decided(0.0, _spread(beyond) - SLOW_SHARE),
        decided(limits.empty, np.zeros(MOST)),
    ]
    known = [count for count in alike if count is not None]
    return Needed(
        max(known) if len(known) == len(alike) else None,
        decided(0.0, _spread(limits.errors)),
        decided(0.0, np.ones(MOST)),
    )


def requests(comparisons: int, share: int) -> int:
    """Of the app's users, for so many comparisons, while the new revision has `share` percent: a
    comparison begins with any answer, and ends with the first one of the other revision."""
    new = share / 100
    return round(comparisons * (1 + new / (1 - new) + (1 - new) / new))


def describe(limits: Limits, steps: tuple[int, ...]) -> list[str]:
    """Sentences for whoever is about to begin."""
    if not steps:
        return []
    known = needed(limits, len(steps))
    alike = known.alike
    if alike is None:
        first = f"each step takes more than {MOST:,} comparisons: raise the limits of the section"
    else:
        of_users = ", ".join(f"{requests(alike, s):,} requests at {s} %" for s in steps)
        first = f"each step takes about {alike:,} comparisons if both are alike: {of_users}"
        if limits.per_second:
            seconds = alike / limits.per_second
            first += f", or {seconds / 60:.0f} min of {limits.per_second:g} own questions a second"
    worse = f"about {known.worse:,}" if known.worse else f"more than {MOST:,}"
    return [
        f"canary: {first}",
        f"canary: a revision that fails {100 * limits.errors:g} points more often goes back after "
        f"{worse} comparisons, one that never answers after {known.failing}",
    ]


def _spread(share: float) -> np.ndarray:
    """MOST zeros and ones, of which `share` are ones, evenly."""
    return np.diff(np.floor(share * np.arange(MOST + 1)))
