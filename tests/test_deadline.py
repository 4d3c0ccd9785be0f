import subprocess
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
