"""Against Dask's own scheduler and workers."""

import shutil
import signal
import time

import pytest

from ragkit.errors import ConfigError, EngineAway, EngineError
from ragkit.migration.backfill.engine.driver import Driver
from ragkit.migration.progress.audit import audit
from ragkit.runbook.engines import dask as engines
from ragkit.runbook.engines.dask import Dask
from ragkit.runbook.engines.unit import PlanUnit
from ragkit.runbook.runbook import Runbook
from tests.conftest import ROOT, changed
from tests.runbook.engines.conftest import ROWS
from tests.stand_ins import dask

pytestmark = pytest.mark.timeout(120)


def fill_by(runbook, engine):
    return list(Driver(runbook.migration, PlanUnit(runbook.plan, ()), engine).run())


def test_the_workers_of_a_scheduler_fill_the_table(runbook, cluster):
    engine = Dask(cluster.address, 0)
    assert engine.workers == 2
    steps = fill_by(runbook, engine)
    assert max(step.workers for step in steps) == 2
    assert steps[-1].done == ROWS
    assert audit(runbook.migration).pending == 0


def test_no_more_workers_are_used_than_the_plan_says(cluster):
    assert Dask(cluster.address, 1).workers == 1
    assert Dask(cluster.address, 9).workers == 2


def test_a_scheduler_that_is_not_there_is_an_error_soon(runbook, monkeypatch):
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 1.0)
    start = time.monotonic()
    with pytest.raises(EngineAway, match=r"tcp://127.0.0.1:9: no scheduler answers in 1 s: check"):
        fill_by(runbook, Dask("tcp://127.0.0.1:9", 0))
    assert time.monotonic() - start < 10


def test_a_scheduler_without_workers_is_an_error(runbook, tmp_path):
    with (
        dask.serving(tmp_path / "dask", 0) as empty,
        pytest.raises(EngineAway, match="has no worker: start `dask worker` processes"),
    ):
        fill_by(runbook, Dask(empty.address, 0))


def test_a_worker_without_a_database_is_told_with_its_place(runbook, cluster, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", runbook.plan.database.url)
    plan = changed(runbook.plan, {"database.url": "env"})
    runbook = Runbook(plan, runbook.run_dir)
    with pytest.raises(ConfigError, match=r"the worker on .*, process \d+: no database: set"):
        fill_by(runbook, Dask(cluster.address, 0))


def test_a_worker_of_another_version_is_told_with_both_versions(runbook, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(ROOT / "ragkit", other / "ragkit")
    version = other / "ragkit" / "__init__.py"
    version.write_text(version.read_text() + '\n__version__ = "0.0.9"\n')
    with (
        dask.serving(tmp_path / "dask", 1, "--no-nanny", PYTHONPATH=str(other)) as old,
        pytest.raises(EngineError, match=r"has ragkit 0\.0\.9 on Python .*, and the driver has"),
    ):
        fill_by(runbook, Dask(old.address, 0))
    assert audit(runbook.migration).filled == 0


def test_a_worker_without_ragkit_is_told(runbook, tmp_path):
    empty = str(tmp_path)
    with (
        dask.serving(tmp_path / "dask", 1, "--no-nanny", PYTHONPATH=empty) as bare,
        pytest.raises(EngineError, match=r"without ragkit: tcp://127.0.0.1:.*; install it"),
    ):
        fill_by(runbook, Dask(bare.address, 0))


def test_a_scheduler_that_hangs_is_lost_and_not_waited_for_without_end(
    runbook, tmp_path, monkeypatch
):
    monkeypatch.setattr(engines, "ANSWER_SECONDS", 1.0)
    monkeypatch.setattr(engines, "CONNECT_SECONDS", 2.0)
    monkeypatch.setattr("ragkit.migration.backfill.engine.driver.LOST_SECONDS", 1.0)
    with dask.serving(tmp_path / "dask", 1, "--no-nanny") as frozen:
        steps = Driver(runbook.migration, PlanUnit(runbook.plan, ()), Dask(frozen.address, 0)).run()
        while next(steps).workers == 0:
            pass
        frozen.scheduler.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        try:
            with pytest.raises(EngineError, match=r"was lost again and again .* EngineAway"):
                list(steps)
            assert time.monotonic() - start < 30
        finally:
            frozen.scheduler.send_signal(signal.SIGCONT)
