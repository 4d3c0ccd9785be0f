"""How many answers a decision will take, said before the first one is seen."""

from dataclasses import dataclass

from ragkit.deploy.canary.comparisons import SLOW_SHARE
from ragkit.deploy.canary.limits import Limits
from ragkit.sequential.betting import ERROR, MAX_MORE, observations_needed

TAIL = 3.0
"""The share of answers that are slower than a time falls by its power, in the calm case that is
assumed here: of those slower than t, one in 2**3 is slower than 2 t."""


@dataclass(frozen=True)
class Needed:
    """Comparisons of one step, about: `alike` until a revision goes on that is like the old one,
    which fails rarely; `worse` until one is taken back that fails by the limit more often;
    `failing` until one is that fails always. None for more than MAX_MORE."""

    alike: int | None
    worse: int | None
    failing: int | None


def needed(limits: Limits, steps: int) -> Needed:
    """Of each of so many `steps`, as their tests share the error."""
    error = ERROR / max(steps, 1) / len(limits.tests)

    beyond = SLOW_SHARE * limits.slower**-TAIL
    alike = (  # by comparisons with the sign turned: the old one's less the new one's
        observations_needed([0.0], [1.0], -limits.errors, error=error),
        observations_needed([SLOW_SHARE - 1, SLOW_SHARE], [beyond, 1 - beyond], 0.0, error=error),
        observations_needed([0.0], [1.0], -limits.empty, error=error),
    )
    known = [count for count in alike if count is not None]
    return Needed(
        max(known) if len(known) == len(alike) else None,
        observations_needed([1.0, 0.0], [limits.errors, 1 - limits.errors], 0.0, error=error),
        observations_needed([1.0], [1.0], 0.0, error=error),
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
        first = (
            f"each step takes more than {MAX_MORE:,} comparisons: raise the limits of the section"
        )
    else:
        of_users = ", ".join(f"{requests(alike, s):,} requests at {s} %" for s in steps)
        first = f"each step takes about {alike:,} comparisons if both are alike: {of_users}"
        if limits.per_second:
            seconds = alike / limits.per_second
            first += f", or {seconds / 60:.0f} min of {limits.per_second:g} own questions a second"
    worse = f"about {known.worse:,}" if known.worse else f"more than {MAX_MORE:,}"
    return [
        f"canary: {first}",
        f"canary: a revision that fails {100 * limits.errors:g} points more often goes back after "
        f"{worse} comparisons, one that never answers after {known.failing}",
    ]
