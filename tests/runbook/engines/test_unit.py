import pickle
import threading
from dataclasses import replace

import pytest

from ragkit.errors import ConfigError, EngineError, ModelUnavailable, Stopped
from ragkit.migration.progress.audit import audit
from ragkit.runbook.engines.unit import PlanUnit, versions
from tests.conftest import changed
from tests.runbook.engines.conftest import ROWS


def test_a_unit_opens_its_database_and_model_by_itself_wherever_it_is(runbook):
    unit = pickle.loads(pickle.dumps(PlanUnit(runbook.plan, ())))
    assert unit().landed == ROWS
    assert audit(runbook.migration).pending == 0
    assert unit().is_last


def test_no_secret_travels_with_it(runbook, monkeypatch):
    monkeypatch.setenv("DB_PASS", "hunter2")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hunter2")
    assert b"hunter2" not in pickle.dumps(PlanUnit(runbook.plan, (1.0,)))


def test_siblings_travel_with_the_plan_so_that_they_share_a_budget(runbook):
    plan = runbook.plan.beside([runbook.plan.among(2, "shops")])
    copy = pickle.loads(pickle.dumps(PlanUnit(plan, ())))
    assert [sibling.name for sibling in copy.plan.siblings] == ["shops"]


@pytest.mark.parametrize("other", ["ragkit 0.1.9 on Python 3.11", "ragkit 9 on Python 3.99"])
def test_a_worker_of_another_version_refuses(runbook, other):
    unit = replace(PlanUnit(runbook.plan, ()), versions=other)
    with pytest.raises(EngineError, match=f"has {versions()}, and the driver has {other}: give"):
        unit()
    assert audit(runbook.migration).filled == 0


def test_a_worker_without_a_database_says_where_it_is(runbook, monkeypatch):
    for name in ("DATABASE_URL", "INSTANCE_CONNECTION_NAME", "DB_USER", "DB_NAME"):
        monkeypatch.delenv(name, raising=False)
    plan = changed(runbook.plan, {"database.url": "env"})
    with pytest.raises(ConfigError, match=r"the worker on .*, process \d+: no database: set"):
        PlanUnit(plan, ())()


def test_a_stop_is_told_as_it_is(runbook, monkeypatch):
    def stop(*_):
        raise Stopped("stopped by ann")

    unit = PlanUnit(runbook.plan, ())
    monkeypatch.setattr("ragkit.runbook.engines.unit.work", stop)
    with pytest.raises(Stopped, match=r"^stopped by ann$"):
        unit()


class Odd(Exception):
    """As those of some services' clients: it cannot be made from its arguments alone."""

    def __init__(self, status, body):
        super().__init__(f"{status} hunter2")


class Held(ModelUnavailable):
    """It holds what belongs to its process."""

    def __init__(self, message):
        super().__init__(message)
        self.lock = threading.Lock()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Held("the key has expired"), r"the worker on .*, process \d+: the key has expired$"),
        (Odd(500, "{}"), r"the worker on .*, process \d+: unexpected Odd; run this by one process"),
    ],
    ids=["ours", "another"],
)
def test_an_error_that_cannot_travel_is_told_by_one_that_can(runbook, monkeypatch, error, told):
    def fail(*_):
        raise error

    monkeypatch.setattr("ragkit.runbook.engines.unit.work", fail)
    with pytest.raises(EngineError, match=told) as raised:
        PlanUnit(runbook.plan, ())()
    copy = pickle.loads(pickle.dumps(raised.value))
    assert str(copy) == str(raised.value)
    assert "hunter2" not in str(copy)
