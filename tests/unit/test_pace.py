from hypothesis import given
from hypothesis import strategies as st

from ragkit.migration.claims import MOST, stripes_for
from ragkit.migration.pace import TARGET_SECONDS, WriteSize


@given(st.integers(1, 10_000), st.lists(st.floats(0, 10), max_size=30))
def test_a_write_has_one_row_at_least_and_never_more_than_a_batch(most, times):
    size = WriteSize(most)
    for seconds in times:
        size.took(size.rows, seconds)
        assert 1 <= size.rows <= most


@given(st.floats(0.0001, 0.02))
def test_it_settles_where_a_write_takes_what_it_may(seconds_a_row):
    size = WriteSize(10_000)
    for _ in range(20):
        size.took(size.rows, size.rows * seconds_a_row)
    assert size.rows * seconds_a_row <= TARGET_SECONDS * 1.001
    assert (size.rows + 2) * seconds_a_row > TARGET_SECONDS


def test_one_slow_write_is_answered_at_once():
    size = WriteSize(1000)
    for _ in range(10):
        size.took(size.rows, 0.001)
    assert size.rows > 100
    size.took(size.rows, 1.0)
    assert size.rows <= 1000 * TARGET_SECONDS


@given(st.integers(0, 10**7), st.integers(1, 10_000))
def test_stripes_are_a_power_of_two_and_some_batches_long(rows, batch):
    count = stripes_for(rows, batch)
    assert 1 <= count <= MOST
    assert count & (count - 1) == 0
    assert count == 1 or rows / count >= 4 * batch
