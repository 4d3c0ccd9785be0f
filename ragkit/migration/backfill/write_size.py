"""How many rows one write takes, so that the app never waits long for a row of ours."""

TARGET_SECONDS = 0.04
"""Less than half of what is promised to the app: a write may be slower than the previous one."""
INITIAL_ROWS = 16


class WriteSize:
    """Follows the measured duration of the writes: down at once, up by doubling."""

    def __init__(self, max_rows: int):
        self._max_rows = max_rows
        self.rows = min(INITIAL_ROWS, max_rows)

    def record(self, rows: int, seconds: float) -> None:
        """Call after each write, with its size and duration."""
        fitting = int(rows * TARGET_SECONDS / max(seconds, 1e-6))
        self.rows = max(1, min(fitting, 2 * self.rows, self._max_rows))
