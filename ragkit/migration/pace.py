"""How many rows one write takes, so that the app never waits long for a row of ours."""

TARGET_SECONDS = 0.04
"""Under half of what is promised to the app: a write may turn out slower than the one before."""
FIRST = 16


class WriteSize:
    """Follows the measured time of the writes: down at once, up by doubling."""

    def __init__(self, most: int):
        self._most = most
        self.rows = min(FIRST, most)

    def took(self, rows: int, seconds: float) -> None:
        """To be told after each write."""
        fitting = int(rows * TARGET_SECONDS / max(seconds, 1e-6))
        self.rows = max(1, min(fitting, 2 * self.rows, self._most))
