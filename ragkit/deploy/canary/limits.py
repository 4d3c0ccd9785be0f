"""The limits of a canary, set before anybody looks."""

from dataclasses import dataclass

ERRORS, SLOW, EMPTY, OVERLAP = "errors", "slow answers", "empty answers", "overlap"
"""The tests."""


@dataclass(frozen=True)
class Limits:
    """A revision goes back when it is shown to be worse, and goes on when it is shown to be worse
    by less than this. As differences of shares: `errors`, `empty`. `slower`: how many times slower
    its slow answers are. `overlap`: the least mean share of rows that both answers have; 0 only
    shows it, since two models differ lawfully.

    Between not worse and a limit, either may be shown first. One limit for both would be missed as
    often, and take four times as many answers.

    ragkit asks `per_second` questions where the log tells less, and waits for a decision of each
    step at most `minutes`.
    """

    errors: float = 0.02
    slower: float = 1.5
    empty: float = 0.05
    overlap: float = 0.0
    per_second: float = 5.0
    minutes: float = 60.0

    @property
    def tests(self) -> tuple[str, ...]:
        """Those that decide."""
        return (ERRORS, SLOW, EMPTY, *([OVERLAP] if self.overlap else []))
