import os
import subprocess
import threading
import time

import pytest

from ragkit.deadline import call_within
from tests.conftest import PYTHON, environment


def test_a_call_in_time_returns_what_it_returns():
    assert call_within(5, divmod, 7, 2) == (3, 1)
    assert call_within(5, sorted, [2, 1], reverse=True) == [2, 1]


def test_an_error_of_the_call_keeps_its_type():
    with pytest.raises(ZeroDivisionError):
        call_within(5, divmod, 7, 0)
    with pytest.raises(TimeoutError, match="its own"):
        call_within(5, raise_timeout)


def raise_timeout():
    raise TimeoutError("its own")


def test_a_call_that_hangs_ends_at_the_deadline():
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        call_within(0.2, time.sleep, 30)
    assert 0.2 <= time.monotonic() - start < 2


def test_a_call_that_hangs_keeps_no_process_alive():
    script = (
        "import time\nfrom ragkit.deadline import call_within\n"
        "try: call_within(0.1, time.sleep, 60)\nexcept TimeoutError: print('late')"
    )
    done = subprocess.run(
        [PYTHON, "-c", script], env=environment(), capture_output=True, text=True, timeout=20,
        check=True,
    )  # fmt: skip
    assert done.stdout == "late\n"


def test_calls_in_turns_share_a_thread():
    """To start one costs more than a search."""
    threads = {call_within(5, threading.current_thread) for _ in range(50)}
    assert len(threads) < 10


def test_a_call_that_hangs_keeps_no_other_call_waiting():
    with pytest.raises(TimeoutError):
        call_within(0.1, time.sleep, 2)
    start = time.monotonic()
    for _ in range(20):
        call_within(5, int)
    assert time.monotonic() - start < 1


def test_a_fork_has_threads_of_its_own():
    """Those of the parent do not survive it, and a call would wait for one for ever."""
    for _ in range(3):
        call_within(5, int)
    if (child := os.fork()) == 0:
        try:
            os._exit(call_within(5, int))
        except BaseException:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
