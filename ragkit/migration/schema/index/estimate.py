"""What an index build will take, before it begins."""

from dataclasses import dataclass

import sqlalchemy as sa
from humanize import naturaldelta, naturalsize

from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import count_blocks
from ragkit.migration.schema.index.sizing import Sizing
from ragkit.migration.schema.index.trial import TRIAL_ROWS, run_index_trial

WORTH_A_TRIAL = 10 * TRIAL_ROWS
"""Rows of a table whose index takes much longer than a trial; a smaller one is a moment's work."""
SAMPLED_PAGES = 400


@dataclass(frozen=True)
class Estimate:
    """Of an index over about `rows`; bytes and seconds (of one process) are 0 where no trial was
    worth its time. `is_low`: the memory does not hold the index, so that it takes longer."""

    rows: int
    bytes: int
    seconds: float
    is_low: bool

    def describe(self) -> str:
        """One line."""
        if not self.seconds:
            return f"an index of about {self.rows:,} rows"
        more = "more than" if self.is_low else "about"
        time = naturaldelta(max(1.0, self.seconds))
        return (
            f"an index of about {self.rows:,} rows: {more} {time} with one process, "
            f"{naturalsize(self.bytes)}"
        )


def estimate_build(migration: Migration, rows: int, sizing: Sizing) -> Estimate:
    """By a trial, where the table is large enough. Raises DatabaseError."""
    if rows < WORTH_A_TRIAL:
        return Estimate(rows, 0, 0.0, is_low=False)
    trial = run_index_trial(migration)
    seconds = trial.seconds_for(rows)
    return Estimate(rows, round(trial.index_bytes * rows), seconds, is_low=not sizing.fits)


def estimate_rows(connection: sa.Connection, migration: Migration) -> int:
    """By a sample of pages: the table is never counted, and pg_class.reltuples knows nothing of
    what a backfill has done since the last VACUUM."""
    pages = count_blocks(connection, migration.quoted_table)
    percent = min(100.0, 100 * SAMPLED_PAGES / max(1, pages))
    rows = connection.exec_driver_sql(
        f"select count(*) from {migration.quoted_table} "
        f"tablesample system ({percent:.6f}) repeatable (1)"
    ).scalar()
    return round((rows or 0) * 100 / percent)
