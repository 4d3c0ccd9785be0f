"""The rate is that of the rows, not of what a backfill takes once."""

import pytest

from ragkit.migration.backfill.progress import Progress
from ragkit.migration.rehearsal.pace import Pace


def told(*steps):
    """Rows that have landed, by the seconds since the start."""
    for seconds, landed in steps:
        yield Progress(landed, 1000, landed / max(seconds, 1e-6), seconds)


def test_the_start_and_the_end_are_no_part_of_the_rate():
    pace = Pace()
    assert len(list(pace.follow(told((0, 0), (5, 100), (6, 200), (9, 500), (12, 500))))) == 5
    assert pace.rows_per_second == pytest.approx(100)
    assert pace.once_seconds == pytest.approx(7)


def test_a_short_backfill_has_the_rate_of_all_of_it():
    pace = Pace()
    list(pace.follow(told((0, 0), (0.2, 30), (0.5, 50), (1.5, 50))))
    assert pace.rows_per_second == pytest.approx(100)
    assert pace.once_seconds == pytest.approx(1)


def test_without_a_row_there_is_no_rate():
    pace = Pace()
    list(pace.follow(told((0, 0), (3, 0))))
    assert (pace.rows_per_second, pace.once_seconds) == (0.0, 3)
