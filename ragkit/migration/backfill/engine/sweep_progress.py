"""How far a backfill by several processes is, by the marks of the sweep in the database: what a
process tells is lost with it."""

import time

from ragkit.database.translate import translate_errors
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.work import sweep
from ragkit.retry import retry_database


class SweepProgress:
    """Of the rows that were pending at its start, as many are done as of the blocks that were left
    to walk. The rows of a range count when all of them are done."""

    def __init__(self, migration: Migration):
        """Raises DatabaseError."""
        self._migration, self._start = migration, time.monotonic()
        retry_database(sweep.begin, migration)
        with translate_errors("backfill"), migration.engine.connect() as connection:
            counts = coverage.estimate_rows(connection, migration)
        self._filled, self._pending = counts.filled, counts.pending
        self._left_at_start = max(self._left(), 1)
        self._done = 0

    def look(self, waiting: str = "", workers: int = 0) -> Progress:
        """Raises DatabaseUnavailable when the database is away for long, DatabaseError."""
        walked = 1 - retry_database(self._left) / self._left_at_start
        # a table that grows, or is rewritten, is walked for longer
        self._done = max(self._done, int(self._pending * walked))
        seconds = time.monotonic() - self._start
        done, total = self._filled + self._done, self._filled + self._pending
        rate, usd = self._done / max(seconds, 1e-6), retry_database(read_usd, self._migration)
        return Progress(done, total, rate, seconds, usd, waiting=waiting, workers=workers)

    def _left(self) -> int:
        with translate_errors("backfill"), self._migration.engine.connect() as connection:
            return sweep.blocks_left(connection, self._migration)
