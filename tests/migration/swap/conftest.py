import pytest

from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import (
    allow_missing_old,
    expand,
    keep_old_column_current,
)
from tests.conftest import changed

WAY = {"app.way": "swap", "app.target": "command"}


@pytest.fixture
def ready(engine, plan, amenities, new_embedder) -> Migration:
    """As a cut-over leaves it to the swap."""
    return prepare(engine, changed(plan, WAY), new_embedder)


def prepare(engine, plan, new_embedder):
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, new_embedder))
    allow_missing_old(migration)
    keep_old_column_current(migration, "the swap")
    return migration
