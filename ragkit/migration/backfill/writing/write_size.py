"""How many rows one write takes, so that the app never waits long for a row of ours."""

TARGET_SECONDS = 0.04
"""Less than half of what is promised to the app: a write may be slower than the previous one."""
INITIAL_ROWS, MAX_ROWS = 16, 256
"""MAX_ROWS: a write should not take two rows of a page, and a range has as many pages."""


class WriteSize:
    """Follows the measured duration of the writes: down at once, up by doubling."""

    def __init__(self, max_rows: int = MAX_ROWS, target_seconds: float = TARGET_SECONDS) -> None:
        self.rows, self._max_rows, self._target = INITIAL_ROWS, max_rows, target_seconds

    def record(self, rows: int, seconds: float) -> None:
        """Call after each write, with its size and duration."""
        fitting = int(rows * self._target / max(seconds, 1e-6))
        self.rows = max(1, min(fitting, 2 * self.rows, self._max_rows))
