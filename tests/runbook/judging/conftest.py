"""A filled table and a file of questions, as a runbook finds them."""

import json

import pytest

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema import expansion
from ragkit.runbook import Runbook
from tests.conftest import changed

DEAD = "unknown/256"
"""An old model that nobody can call, of the dimension of its column."""


@pytest.fixture
def runbook_of(amenities, database, monkeypatch, tmp_path):
    """Runbooks of a plan with changes, over eight questions of a log."""
    monkeypatch.setenv("DATABASE_URL", database.render_as_string(hide_password=False))
    questions = tmp_path / "questions.jsonl"
    texts = [f"question {n} about fish, wool or trains" for n in range(8)]
    lines = [json.dumps({"text": text, "user": "ana@x.org", "count": 3}) for text in texts]
    questions.write_text("\n".join(lines))
    own = {"evaluation.questions": str(questions), "judging.judge": "ana",
           "judging.folder": str(tmp_path / "judgements")}  # fmt: skip

    def runbook(plan, **changes):
        settings = own | {name.replace("__", "."): value for name, value in changes.items()}
        return Runbook(changed(plan, settings), tmp_path / "run")

    return runbook


@pytest.fixture
def open_runbook(runbook_of, filled, plan):
    return lambda **changes: runbook_of(plan, **changes)


@pytest.fixture
def dead_runbook(runbook_of, plan, engine, new_embedder):
    """The same after a migration that never could call its old model."""
    dead = changed(plan, {"old.model": DEAD})
    migration = Migration.open(dead, engine)
    expansion.expand(migration)
    list(run_backfill(migration, new_embedder))
    return lambda **changes: runbook_of(dead, **changes)
