"""How far a backfill by several processes is, by what the database has: what a process tells is
lost with it."""

import time

from ragkit.database.translate import translate_errors
from ragkit.migration.backfill.model_calls.costs import read_usd
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.migration.progress.claimed import missing_in_claims
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep_state import read_sweep
from ragkit.retry import retry_database

SHARE = 0.05
"""Of the time that the database may spend on counting."""


class SweepProgress:
    """Of the blocks that nobody has claimed, each is taken to have as many pending rows as the
    average one at the start; in the ranges of workers, rows are counted."""

    def __init__(self, migration: Migration):
        """Raises DatabaseError."""
        self._migration, self._start = migration, time.monotonic()
        retry_database(sweep.begin, migration)
        with translate_errors("backfill"), migration.engine.connect() as connection:
            counts = coverage.estimate_rows(connection, migration)
            blocks = read_sweep(connection, migration).unclaimed
        self._filled, self._pending = counts.filled, counts.pending
        self._rows_a_block = counts.pending / blocks if blocks else 0.0
        self._done, self._due = 0, self._start

    def look(self, waiting: str = "", workers: int = 0, *, is_end: bool = False) -> Progress:
        """Raises DatabaseUnavailable when the database is away for long, DatabaseError."""
        began = time.monotonic()
        if is_end or began >= self._due:
            left = retry_database(self._left)
            # a table that grows, or is rewritten, is walked for longer
            self._done = max(self._done, min(self._pending, self._pending - left))
            now = time.monotonic()
            self._due = now + (now - began) / SHARE
        seconds = time.monotonic() - self._start
        done, total = self._filled + self._done, self._filled + self._pending
        rate, usd = self._done / max(seconds, 1e-6), retry_database(read_usd, self._migration)
        return Progress(done, total, rate, seconds, usd, waiting=waiting, workers=workers)

    def _left(self) -> int:
        with translate_errors("backfill"), self._migration.engine.connect() as connection:
            blocks = read_sweep(connection, self._migration).unclaimed
            return round(self._rows_a_block * blocks) + missing_in_claims(
                connection, self._migration
            )
