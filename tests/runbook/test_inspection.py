"""What a runbook tells before it does anything, looked at once."""

import pytest

from ragkit.deploy.own_app.check import Check as OwnCheck
from ragkit.deploy.own_app.manual import ManualApp
from ragkit.runbook.inspection import Inspection
from tests.conftest import TEXTS


@pytest.fixture
def inspect(migration, old_embedder, new_embedder):
    return lambda app=None: Inspection(migration, new_embedder, old_embedder, app)


def test_everything_is_looked_at_once(inspect):
    inspection = inspect()
    assert inspection.preview is inspection.preview
    assert inspection.measured.figures.rows == inspection.preview.figures.rows == len(TEXTS)
    assert inspection.identification.best.share == 1.0
    assert {finding.name for finding in inspection.preview.findings} <= {
        check.name for check in inspection.checks
    }


def test_an_app_that_ragkit_deploys_is_not_asked(inspect):
    assert "app" not in {check.name for check in inspect().checks}


def test_an_app_that_names_no_model_or_does_not_answer_is_a_finding(inspect):
    silent = inspect(lambda: ManualApp("http://127.0.0.1:9")).checks[-1]
    assert silent.observed == "its /healthz names no model"
    assert (silent.passed, silent.fix) == (None, "set app.url and check.field")
    asked = ManualApp("http://127.0.0.1:9", OwnCheck(field="id"), lambda ask: ask("tea")[0])
    gone = inspect(lambda: asked).checks[-1]
    assert (gone.passed, "cannot be reached" in gone.observed) == (False, True)
