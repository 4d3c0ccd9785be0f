"""Two tables that one app searches, "Amenities" and "Policies"."""

import pytest

from ragkit.database.connecting import describe
from ragkit.migration.plan.tables.load import plans_of
from ragkit.runbook import Runbook
from tests.conftest import OLD
from tests.stand_ins.own_app import CHECK, OwnApp, places_migration
from tests.stand_ins.two_tables import NAMES, two_tables


@pytest.fixture
def pair(tmp_path, engine, database, monkeypatch):
    """Both tables filled, one app on the old model, and runbooks of both with these changes."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
    app = OwnApp.at(tmp_path, database)
    script = f"'{app.script}'"

    def runbooks(entries=({}, {}), **changes):
        settings = {
            **CHECK, "database.expect": describe(engine.url), "app.url": app.url,
            "app.target": "command", "app.deploy": script, "app.roll_back": script,
            "app.command_seconds": 60.0,
        } | {name.replace("__", "."): value for name, value in changes.items()}  # fmt: skip
        of_tables = [
            {**entry, "check": {"path": f"/search/{name}"}}
            for name, entry in zip(NAMES, entries, strict=True)
        ]
        runbooks.params = two_tables(settings, of_tables)
        return [Runbook(plan, tmp_path / plan.name) for plan in plans_of(runbooks.params)]

    for runbook in runbooks():
        places_migration(engine, runbook.plan)
    app.switch(OLD, "embedding")
    runbooks.app = app
    yield runbooks
    app.stop()
