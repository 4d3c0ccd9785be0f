"""A driver's processes end with it, and Ctrl-C is the driver's alone."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import environment

DRIVER = """
import signal, sys, time
from pathlib import Path
from ragkit.migration.backfill.engine.engines import Processes
from tests.migration.backfill.engine.test_processes import note_and_wait

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # also in the background
    with Processes(2).start() as executor:
        futures = [executor.submit(note_and_wait, sys.argv[1]) for _ in range(2)]
        try:
            print([future.result() for future in futures], flush=True)
        except KeyboardInterrupt:
            print("interrupted", [future.result() for future in futures], flush=True)
"""


def note_and_wait(folder):
    Path(folder, str(os.getpid())).touch()
    time.sleep(float(os.environ["SECONDS_OF_A_UNIT"]))
    return "done"


@pytest.fixture
def start(tmp_path):
    """A driver in a group of its own, of which both units run."""
    started = []

    def start(seconds):
        (script := tmp_path / "driver.py").write_text(DRIVER)
        (notes := tmp_path / "notes").mkdir()
        driver = subprocess.Popen(
            [sys.executable, str(script), str(notes)], start_new_session=True, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=environment(SECONDS_OF_A_UNIT=str(seconds)),
        )  # fmt: skip
        started.append(driver)
        wait_until(lambda: len(list(notes.iterdir())) == 2)
        return driver, [int(note.name) for note in notes.iterdir()]

    yield start
    for driver in started:
        with suppress(ProcessLookupError):
            os.killpg(driver.pid, signal.SIGKILL)
        driver.communicate()


def wait_until(holds, seconds=30):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_there(process):
    """Also where nobody waits for it."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_processes_end_with_a_driver_that_is_killed(start):
    driver, workers = start(60)
    driver.kill()
    wait_until(lambda: not any(map(is_there, workers)), 10)
    assert driver.communicate(timeout=10) == ("", "")  # its end is told by itself alone


def test_an_interrupt_reaches_the_driver_and_no_worker(start):
    driver, _ = start(3)
    os.killpg(driver.pid, signal.SIGINT)
    output, errors = driver.communicate(timeout=30)
    assert output.strip() == "interrupted ['done', 'done']"
    assert "KeyboardInterrupt" not in errors
