import threading
import time

import pytest

from ragkit.migration.backfill.reading.prefetch import Prefetch


def read_all(source):
    items = []
    while not source.ended:
        if (item := source.next(1.0)) is not None:
            items.append(item)
    return items


def test_items_come_in_their_order():
    assert read_all(Prefetch(iter(range(1, 100)), ahead=3)) == list(range(1, 100))


def test_it_reads_so_far_ahead_and_no_further():
    read = []

    def items():
        for n in range(100):
            read.append(n)
            yield n

    source = Prefetch(items(), ahead=3)
    time.sleep(0.3)
    assert len(read) == 4  # one more is held until there is room
    source.close()


def test_an_error_comes_after_what_was_read():
    def items():
        yield 1
        raise ValueError("broken")

    source = Prefetch(items(), ahead=3)
    assert source.next(1.0) == 1
    with pytest.raises(ValueError, match="broken"):
        source.next(1.0)


def test_closing_ends_the_thread():
    before = threading.active_count()
    source = Prefetch(iter(range(10**9)), ahead=3)
    assert source.next(1.0) == 0
    source.close()
    assert threading.active_count() == before


def test_nothing_yet_is_none():
    ready = threading.Event()

    def items():
        ready.wait(5)
        yield 1

    source = Prefetch(items(), ahead=1)
    assert source.next(0.0) is None
    assert not source.ended
    ready.set()
    assert read_all(source) == [1]
