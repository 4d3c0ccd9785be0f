"""What the comparisons of a step show by now, and what becomes of the traffic by them."""

from collections.abc import Sequence
from dataclasses import dataclass

from ragkit.deploy.canary.comparisons import Comparisons
from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW, Limits
from ragkit.sequential.betting import ERROR, sequential_test

ON, WAIT, BACK = "goes on", "waits", "goes back"
SHOWN_LIMIT = 0.5
"""Of an overlap that only is shown; nothing is decided by it."""


@dataclass(frozen=True)
class Standing:
    """Where a test stands after `comparisons`: the mean with its interval, as shares; `decision` is
    None for an overlap that is only shown. `more` comparisons are missing, if they are like those
    before; None where these do not decide."""

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
            limit = f"; at least {self.limit:.0%}" if self.decision else ""
            return f"{self.mean:.0%} ({self.low:.0%} to {self.high:.0%}{limit})"
        mean, low, high = (f"{100 * value:+.1f}" for value in (self.mean, self.low, self.high))
        return f"{mean} points ({low} to {high}; limit {100 * self.limit:+.1f})"


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
        return None if None in missing else max((m for m in missing if m is not None), default=0)

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
    """`error`: the share of new revisions within all limits that may go back wrongly, and of those
    beyond one that may go on; over all tests and all looks together."""
    each = error / len(limits.tests)
    values = comparisons.values
    standings = [
        _standing(ERRORS, values[ERRORS], limits.errors, each),
        _standing(SLOW, values[SLOW], 0.0, each),
        _standing(EMPTY, values[EMPTY], limits.empty, each),
    ]
    if limits.overlap or values[OVERLAP]:
        standings.append(_overlap(values[OVERLAP], limits.overlap, each))
    decisions = [standing.decision for standing in standings]
    decision = BACK if BACK in decisions else WAIT if WAIT in decisions else ON
    return CanaryLook(share, comparisons.answers, tuple(standings), decision, log_fault)


def _standing(test: str, values: Sequence[float], limit: float, error: float) -> Standing:
    """Of a difference, which must not be above its limit."""
    result = sequential_test(values, limit, error=error)
    decision = {None: WAIT, False: ON, True: BACK}[result.above]
    return Standing(
        test, result.mean, result.low, result.high, limit, result.n, decision, result.more
    )


def _overlap(values: Sequence[float], floor: float, error: float) -> Standing:
    """Which must not be below its floor, if it has one."""
    result = sequential_test(values, floor or SHOWN_LIMIT, (0.0, 1.0), error)
    decision = {None: WAIT, True: ON, False: BACK}[result.above] if floor else None
    return Standing(
        OVERLAP, result.mean, result.low, result.high, floor, result.n, decision, result.more
    )
