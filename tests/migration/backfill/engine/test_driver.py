"""Units are handed out until no range is left, whoever runs them and whatever becomes of him."""

import os
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import pytest
import sqlalchemy as sa

from ragkit.errors import EngineAway, EngineError, ModelUnavailable, PhaseError, Stopped
from ragkit.migration.backfill.engine import driver as drivers
from ragkit.migration.backfill.engine.driver import Driver
from ragkit.migration.backfill.engine.engines import Processes
from ragkit.migration.backfill.engine.unit import Done
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.control.settings import change_settings
from ragkit.migration.progress.audit import audit
from tests.conftest import with_plan
from tests.migration.backfill.engine.conftest import ROWS
from tests.migration.backfill.vectors import check_vectors
from tests.stand_ins.recording import RecordingEmbedder


class Threads:
    """The Engine of any other Executor."""

    name = "threads"

    def __init__(self, workers=3):
        self.workers, self.starts = workers, 0

    @contextmanager
    def start(self):
        self.starts += 1
        pool = ThreadPoolExecutor(self.workers)
        try:
            yield pool
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def is_lost(self, error):
        return isinstance(error, ConnectionError)


@pytest.mark.parametrize("engine_of", [Threads, lambda: Processes(3)], ids=["threads", "local"])
def test_each_row_is_embedded_once_whoever_runs_the_units(wide, unit, new_embedder, engine_of):
    steps = list(Driver(wide, unit, engine_of()).run())
    assert set(unit.texts().values()) == {1}
    assert audit(wide).pending == 0
    assert steps[-1].done == steps[-1].total == ROWS
    assert max(step.workers for step in steps) <= 3
    list(run_backfill(wide, new_embedder))
    check_vectors(wide, new_embedder)
    assert len(unit.texts()) == ROWS


def test_the_progress_is_never_ahead_of_the_table(wide, unit):
    for step in Driver(wide, unit, Threads()).run():
        with wide.engine.connect() as connection:
            filled = wide.select(sa.func.count()).where(wide.new_vector.is_not(None))
            assert step.done <= connection.scalar(filled)
    assert step.done == ROWS


@pytest.mark.timeout(120)
def test_a_process_that_is_killed_costs_what_was_in_flight_and_no_row(wide, unit, new_embedder):
    unit = replace(unit, seconds=0.1)  # slower than the writes: what is answered is written soon
    steps = Driver(wide, unit, Processes(2)).run()
    killed = 0
    for _ in steps:
        if not killed and len(unit.asked()) > 10:
            killed = unit.asked()[-1][0]
            os.kill(killed, signal.SIGKILL)
    assert killed
    recorder = RecordingEmbedder(new_embedder)
    list(run_backfill(wide, recorder))  # takes the dead process's range over
    check_vectors(wide, new_embedder)
    paid = unit.texts() + Counter(recorder.texts)
    assert len(paid) == ROWS
    twice = paid.total() - ROWS
    # the other process of the pool is ended with it
    in_flight, texts = wide.plan.backfill.in_flight, wide.plan.backfill.batch_size
    assert twice <= 2 * 2 * in_flight * texts


def test_an_engine_that_is_lost_is_started_again(wide, unit, monkeypatch):
    monkeypatch.setattr(drivers, "RESTART_SECONDS", 0.0)
    engine = Threads(1)

    def lose_twice():
        if engine.starts <= 2:
            raise [EngineAway("no worker"), ConnectionError("reset")][engine.starts - 1]
        return unit()

    told = [step.waiting for step in Driver(wide, lose_twice, engine).run()]
    assert engine.starts == 3
    assert told.count("threads was lost, and is started again") == 2
    assert set(unit.texts().values()) == {1}
    assert audit(wide).pending == 0


def test_an_engine_that_is_lost_for_long_is_an_error(wide, unit, monkeypatch):
    monkeypatch.setattr(drivers, "RESTART_SECONDS", 0.05)
    monkeypatch.setattr(drivers, "LOST_SECONDS", 0.5)

    def lost():
        raise ConnectionError("the worker is gone")

    with pytest.raises(EngineError, match=r"threads was lost again and again .* ConnectionError"):
        list(Driver(wide, lost, Threads()).run())


def test_an_engine_that_never_starts_is_an_error_at_once(wide, unit):
    class Away(Threads):
        @contextmanager
        def start(self):
            raise EngineAway("no scheduler answers")
            yield

    with pytest.raises(EngineAway, match="no scheduler answers"):
        list(Driver(wide, unit, Away()).run())


@pytest.mark.parametrize("error", [ModelUnavailable("the key has expired"), ValueError("a fault")])
def test_what_a_unit_raises_is_raised_and_what_was_written_stays(wide, unit, error):
    def fail():
        unit()
        raise error

    with pytest.raises(type(error), match=str(error)):
        list(Driver(wide, fail, Threads(1)).run())
    assert audit(wide).filled > 0


def test_a_worker_without_ragkit_is_told(wide):
    def cannot_load():
        raise ModuleNotFoundError("No module named 'ragkit'")

    with pytest.raises(EngineError, match=r"cannot load the work .* install the same ragkit"):
        list(Driver(wide, cannot_load, Threads(1)).run())


def test_while_it_is_paused_no_unit_starts_and_a_stop_ends_it(wide, unit):
    change_settings(wide, "pause", paused=True)
    steps = Driver(wide, unit, Threads()).run()
    seen = [next(steps).waiting for _ in range(4)]
    assert "paused by" in seen[-1]
    assert not unit.asked()
    stop = threading.Timer(
        0.2, change_settings, (wide, "stop"), {"stopped_at": sa.func.clock_timestamp()}
    )
    stop.start()
    with pytest.raises(Stopped):
        list(steps)
    assert not unit.asked()


def test_workers_that_do_nothing_are_not_waited_for_without_end(wide, monkeypatch):
    monkeypatch.setattr("ragkit.migration.backfill.waiting.WARN_SECONDS", 0.5)
    wide = with_plan(wide, {"backfill.model_seconds": 0.5})
    ended = threading.Event()

    def hang():
        ended.wait(60)
        return Done(0, True)

    start = time.monotonic()
    with pytest.raises(PhaseError, match="held by no worker: none begins"):
        try:
            for _ in Driver(wide, hang, Threads()).run():
                if time.monotonic() - start > 30:
                    break
        finally:
            ended.set()
