import os
import signal
import time

import pytest

from ragkit.migration.backfill.engine.engines import Processes


def test_its_processes_are_others_and_at_most_so_many():
    with Processes(2).start() as executor:
        pids = {executor.submit(os.getpid).result(30) for _ in range(6)}
    assert os.getpid() not in pids
    assert len(pids) <= 2


def test_a_process_that_dies_is_a_loss_and_a_fault_of_the_work_is_none():
    engine = Processes(1)
    with engine.start() as executor:
        dying = executor.submit(os.kill, executor.submit(os.getpid).result(30), signal.SIGKILL)
        assert engine.is_lost(dying.exception(30))
    with engine.start() as executor:
        fault = executor.submit(int, "no number").exception(30)
    assert isinstance(fault, ValueError)
    assert not engine.is_lost(fault)


def test_its_end_waits_for_no_unit():
    with Processes(1).start() as executor:
        running = executor.submit(time.sleep, 2)
        while not running.running():
            time.sleep(0.01)
        ended = time.monotonic()
    assert time.monotonic() - ended < 1
    running.result(10)


@pytest.mark.parametrize("error", [OSError("disk"), KeyError("x")])
def test_other_errors_are_no_loss(error):
    assert not Processes(1).is_lost(error)
