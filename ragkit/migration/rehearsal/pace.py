"""How fast rows were filled, without what a backfill takes once, however many rows there are."""

from collections.abc import Generator
from dataclasses import dataclass, field

from ragkit.migration.backfill.progress import Progress

STEADY_SECONDS = 1.0
"""A shorter time between the first rows and the last ones says nothing by itself."""


@dataclass
class Pace:
    """What a backfill told of its progress: rows that landed, by the seconds since its start."""

    landed: list[tuple[float, float]] = field(default_factory=list)
    seconds: float = 0.0

    def follow(self, steps: Generator[Progress, None, None]) -> Generator[Progress, None, None]:
        """Yields the same steps. `seconds` are known when they have ended."""
        try:
            for step in steps:
                rows, self.seconds = step.rate * step.seconds, step.seconds
                if rows and (not self.landed or rows > self.landed[-1][1]):
                    self.landed.append((step.seconds, rows))
                yield step
        finally:
            steps.close()

    @property
    def rows(self) -> float:
        return self.landed[-1][1] if self.landed else 0.0

    @property
    def rows_per_second(self) -> float:
        """Between the first rows and the last ones; 0.0 without any."""
        if not self.landed:
            return 0.0
        (began, first), (ended, last) = self.landed[0], self.landed[-1]
        if ended - began >= STEADY_SECONDS:
            return (last - first) / (ended - began)
        return last / ended

    @property
    def once_seconds(self) -> float:
        """What is left of the time: the first request, and the count at the end."""
        rate = self.rows_per_second
        return max(0.0, self.seconds - self.rows / rate) if rate else self.seconds
