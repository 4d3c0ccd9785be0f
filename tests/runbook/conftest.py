"""A site with an app that knows nothing of ragkit: a real Flask app."""

import pytest

from ragkit.database.connecting import describe
from ragkit.runbook import Runbook
from tests.conftest import OLD, changed, make_plan
from tests.stand_ins.own_app import CHECK, OwnApp, places_migration


@pytest.fixture
def site(tmp_path, engine, database, monkeypatch):
    """A filled table, an app on the old model, and runbooks that know of both."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string())
    plan = changed(make_plan(CHECK), {"database.expect": describe(engine.url)})
    places_migration(engine, plan)
    app = OwnApp.at(tmp_path, database)
    app.switch(OLD, "embedding")

    def runbook(**changes):
        settings = {"app.url": app.url, "app.smoke_question": "wool and fish"}
        settings |= {name.replace("__", "."): value for name, value in changes.items()}
        return Runbook(changed(plan, settings), tmp_path / "run")

    runbook.app = app
    yield runbook
    app.stop()


def by_script(site, **changes):
    script = f"'{site.app.script}'"
    return site(
        app__target="command", app__deploy=script, app__roll_back=script,
        app__command_seconds=60.0, **changes,
    )  # fmt: skip
