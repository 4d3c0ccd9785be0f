from hypothesis import given
from hypothesis import strategies as st

from ragkit.migration.backfill.writing.write_size import MAX_ROWS, TARGET_SECONDS, WriteSize


@given(st.lists(st.floats(0, 10), max_size=30))
def test_a_write_has_at_least_one_row_and_at_most_one_of_each_page(durations):
    size = WriteSize()
    for seconds in durations:
        size.record(size.rows, seconds)
        assert 1 <= size.rows <= MAX_ROWS


@given(st.floats(0.0001, 0.02))
def test_the_size_settles_where_a_write_takes_the_target_time(seconds_per_row):
    size = WriteSize()
    for _ in range(20):
        size.record(size.rows, size.rows * seconds_per_row)
    assert size.rows * seconds_per_row <= TARGET_SECONDS * 1.001
    assert size.rows == MAX_ROWS or (size.rows + 2) * seconds_per_row > TARGET_SECONDS


def test_one_slow_write_reduces_the_size_at_once():
    size = WriteSize()
    for _ in range(10):
        size.record(size.rows, 0.001)
    assert size.rows > 100
    size.record(size.rows, 1.0)
    assert size.rows <= MAX_ROWS * TARGET_SECONDS
