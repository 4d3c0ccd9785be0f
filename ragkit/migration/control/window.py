"""The hours of a day in which a backfill may run, such as "22:00-06:00 Europe/Berlin"."""

import re
from dataclasses import dataclass
from datetime import time

from ragkit.errors import ConfigError

ALWAYS = "always"
_WINDOW = re.compile(
    r"([01]?\d|2[0-3]):([0-5]\d)\s*-\s*([01]?\d|2[0-3]):([0-5]\d)(?:\s+([A-Za-z][\w+/-]*))?"
)
_MINUTES = 24 * 60


@dataclass(frozen=True)
class Window:
    """From `start`, inclusive, to `end`, exclusive, on clocks of `zone`, over midnight where the
    end is the smaller one."""

    start: time
    end: time
    zone: str

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Without a zone it is UTC. Whether there is such a zone, only the database can tell.
        Raises ConfigError."""
        if not (found := _WINDOW.fullmatch(text.strip())):
            raise ConfigError(
                f"expected hours such as 22:00-06:00 Europe/Berlin, or {ALWAYS}, got {text[:80]!r}"
            )
        *numbers, zone = found.groups()
        hour, minute, end_hour, end_minute = map(int, numbers)
        start, end = time(hour, minute), time(end_hour, end_minute)
        if start == end:
            raise ConfigError(f"a window from {start:%H:%M} to {end:%H:%M} is never open")
        return cls(start, end, zone or "UTC")

    def minutes_until_open(self, local: time) -> int:
        """0 while it is open; `local` is the time on clocks of the zone."""
        now, start, end = map(_minute_of, (local, self.start, self.end))
        if (now - start) % _MINUTES < (end - start) % _MINUTES:
            return 0
        return (start - now) % _MINUTES

    def __str__(self) -> str:
        return f"{self.start:%H:%M}-{self.end:%H:%M} {self.zone}"


def _minute_of(at: time) -> int:
    return 60 * at.hour + at.minute
