"""What the comparisons of a step show by now, and what becomes of the traffic by them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from ragkit.deploy.canary.comparisons import SLOWER, Comparisons
from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW, Limits
from ragkit.sequential.betting import ERROR, sequential_test

ON, WAIT, BACK = "goes on", "waits", "goes back"
SHOWN_LIMIT = 0.5
"""Of an overlap that only is shown; nothing is decided by it."""


@dataclass(frozen=True)
class Standing:
    """Where a test stands after `comparisons`: the mean with its interval, as shares, which holds
    it at every look; `decision` is None for an overlap that is only shown. `more` comparisons are
    missing, if they are like those before; None where these do not decide."""

    test: str
    mean: float
    low: float
    high: float
    limit: float
    comparisons: int
    decision: str | None
    more: int | None

    def __str__(self) -> str:
        if not self.comparisons:
            return "nothing compared yet"
        if self.test == OVERLAP:
            state = f", {self.decision}" if self.decision else ""
            return f"{self.mean:.0%} ({self.low:.0%} to {self.high:.0%}){state}"
        mean, low, high = (f"{100 * value:+.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} points ({low} to {high}), {self.decision}"


@dataclass(frozen=True)
class CanaryLook:
    """A look at the step in which the new revision has `share` percent of the traffic. It has given
    `answers` so far. `log_fault` says why the log does not count; "" where it does."""

    share: int
    answers: int
    standings: tuple[Standing, ...]
    decision: str
    log_fault: str = ""

    @property
    def more(self) -> int | None:
        """About so many comparisons are missing; None where those before do not decide."""
        missing = [s.more for s in self.standings if s.decision == WAIT]
        return None if None in missing else max((m for m in missing if m), default=None)

    def facts(self) -> dict[str, str]:
        """How it reads."""
        state = f"{self.share} % of the traffic {self.decision}, {self.answers:,} answers"
        if self.decision == WAIT and self.more is not None:
            state += f", about {self.more:,} more comparisons"
        log = {"its log": self.log_fault} if self.log_fault else {}
        return {"canary": state, **{s.test: str(s) for s in self.standings}, **log}

    def __str__(self) -> str:
        (name, state), *tests = self.facts().items()
        return f"{name}: " + "; ".join([state, *(f"{test} {text}" for test, text in tests)])


def look(
    comparisons: Comparisons, limits: Limits, share: int, error: float = ERROR, log_fault: str = ""
) -> CanaryLook:
    """`error`: the share of revisions that are no worse and go back, and of those that are worse by
    a limit and go on; over all tests and all looks together."""
    each = error / len(limits.tests)
    values = comparisons.values
    standings = [
        _standing(ERRORS, values[ERRORS], values[ERRORS], limits.errors, each),
        _standing(SLOW, values[SLOW], values[SLOWER], 0.0, each),
        _standing(EMPTY, values[EMPTY], values[EMPTY], limits.empty, each),
    ]
    if limits.overlap or values[OVERLAP]:
        standings.append(_overlap(values[OVERLAP], limits.overlap, each))
    decisions = [standing.decision for standing in standings]
    decision = BACK if BACK in decisions else WAIT if WAIT in decisions else ON
    return CanaryLook(share, comparisons.answers, tuple(standings), decision, log_fault)


def _standing(
    test: str, values: Sequence[float], allowed: Sequence[float], limit: float, error: float
) -> Standing:
    """By whether the mean of `values` is shown to be above 0, or that of `allowed` below `limit`,
    whichever is shown first."""
    worse = sequential_test(values, 0.0, error=error)
    good = sequential_test(allowed, limit, error=error) if limit or allowed is not values else worse
    backs = [r.decided_at for r in (worse, good) if r.above and r.decided_at]
    ons = [good.decided_at] if good.above is False and good.decided_at else []
    decision = WAIT
    if backs or ons:
        decision = BACK if min(backs, default=inf) <= min(ons, default=inf) else ON
    more = [r.more for r in (worse, good) if r.more is not None]
    return Standing(
        test=test,
        mean=worse.mean,
        low=worse.low,
        high=worse.high,
        limit=limit,
        comparisons=worse.n,
        decision=decision,
        more=0 if decision != WAIT else min(more, default=None),
    )


def _overlap(values: Sequence[float], floor: float, error: float) -> Standing:
    """Which must not be below its floor, if it has one."""
    result = sequential_test(values, floor or SHOWN_LIMIT, (0.0, 1.0), error)
    decision = {None: WAIT, True: ON, False: BACK}[result.above] if floor else None
    return Standing(
        OVERLAP, result.mean, result.low, result.high, floor, result.n, decision, result.more
    )
