"""A real Flask app of somebody else, on a table of thirty places."""

import pytest

from tests.conftest import make_plan
from tests.stand_ins.own_app import CHECK, OwnApp, places_migration


@pytest.fixture
def own_migration(engine):
    """Filled, in the phase `backfilled`."""
    return places_migration(engine, make_plan(CHECK))


@pytest.fixture
def own_app(tmp_path, database, own_migration):
    """On the old model."""
    app = OwnApp.at(tmp_path, database)
    app.switch(own_migration.plan.old.model, own_migration.plan.old.column)
    yield app
    app.stop()
