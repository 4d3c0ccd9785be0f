"""The steps of a canary: each waits until its tests have decided.

A step begins its tests anew. What comes only with more traffic, such as a pool that is too small,
would else be hidden behind what was seen before; and once the new revision has half of the traffic,
comparisons come ten times as fast as with 5 %. The steps share the error of the tests.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ragkit.deploy.canary.comparisons import Comparisons
from ragkit.deploy.canary.decision import BACK, ON, CanaryLook, look
from ragkit.deploy.canary.limits import ERRORS, Limits
from ragkit.deploy.canary.own_questions import OwnQuestions
from ragkit.deploy.canary.request_log import RequestLog
from ragkit.errors import DeployError
from ragkit.sequential.betting import ERROR

ROUND_SECONDS = 1.0
"""Between looks."""
LOG_SECONDS = 10.0
"""Between reads of the log, of which a project may make 60 a minute."""
BLIND_SECONDS = 60.0
"""After which a canary ends that can neither read the log nor ask."""

Report = Callable[[CanaryLook], None]


@dataclass(frozen=True)
class Canary:
    """The tests of so many `steps`. `report` is told each look."""

    limits: Limits
    steps: int
    log: RequestLog
    own: OwnQuestions
    report: Report

    def watch(self, share: int) -> None:
        """Returns when the new revision, which has `share` percent, may have more. Raises
        DeployError when it is worse, or when nothing has decided in time."""
        end = time.monotonic() + 60 * self.limits.minutes
        blind = time.monotonic() + BLIND_SECONDS
        self.log.skip()
        for now in self._looks(share, end):
            self.report(now)
            if now.decision == ON:
                return
            if now.decision == BACK:
                raise DeployError(f"the new revision is worse; {now}")
            if now.log_fault and not now.answers and time.monotonic() > blind:
                raise DeployError(
                    f"the canary sees nothing: no revision answers its questions "
                    f"(canary.per_second), and its log is closed: {now.log_fault}; grant "
                    "roles/run.invoker or roles/logging.viewer, or set app.canary: []"
                )
        self.report(replace(now, decision=BACK))
        raise DeployError(_undecided(now, self.limits))

    def _looks(self, share: int, end: float) -> Iterator[CanaryLook]:
        limits, comparisons = self.limits, Comparisons(self.limits.slower)
        live, own = comparisons.open_stream(), comparisons.open_stream()
        read_at, rate, due = time.monotonic(), 0.0, 0.0
        while True:
            start = time.monotonic()
            if start - read_at >= LOG_SECONDS:
                before = len(comparisons.values[ERRORS])
                self.log.read(comparisons, live)
                rate = (len(comparisons.values[ERRORS]) - before) / (start - read_at)
                read_at = start
            due += ROUND_SECONDS * max(limits.per_second - rate, 0.0)
            self.own.ask(int(due), start + ROUND_SECONDS, comparisons, own)
            due -= int(due)
            yield look(comparisons, limits, share, ERROR / self.steps, self.log.fault)
            if time.monotonic() >= end:
                return
            time.sleep(max(0.0, start + ROUND_SECONDS - time.monotonic()))


def _undecided(last: CanaryLook, limits: Limits) -> str:
    more = f"about {last.more:,} more comparisons are needed" if last.more else "nothing decides"
    return (
        f"the canary has not decided in {limits.minutes:g} min after {last.answers:,} answers of "
        f"the new revision: {more}; wait longer (canary.minutes), ask more (canary.per_second), or "
        f"allow more (canary.errors, slower, empty); {last}"
    )
