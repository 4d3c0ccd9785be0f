"""A sandbox where no app serves, and whose old model nobody can call."""

import shutil

import pytest

from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.sandbox.sandbox import Sandbox
from tests.conftest import ROOT, few_questions, free_port

SANDBOX = ROOT / "params" / "sandbox.yaml"
QUICK = ("new.model=wordllama-64", "new.column=embedding_64")
GONE = "old.model=unknown/256"


@pytest.fixture(scope="package")
def home(tmp_path_factory):
    """Its server goes on from test to test."""
    home = tmp_path_factory.mktemp("sandbox") / "home"
    yield home
    Sandbox(free_port(), home).remove()


@pytest.fixture
def down(home, tmp_path, monkeypatch):
    """A function that makes a runbook with further settings; each begins with the same state."""
    monkeypatch.setenv("RAGKIT_SANDBOX", str(home))
    settings = (*QUICK, *few_questions(tmp_path), f"app.port={free_port()}")

    def runbook(*more: str) -> Runbook:
        return Runbook.of(Parameters(SANDBOX, tmp_path / "run", (*settings, *more)))

    sandbox = runbook().sandbox
    sandbox.up()
    sandbox.restore()
    yield runbook
    sandbox.app.down()
    shutil.rmtree(home / "app")
