"""A cut-over by a view, for an app that a person starts."""

import pytest

from ragkit.database.connecting import describe
from ragkit.errors import DeployError, SchemaError
from ragkit.migration import phases
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.verdict import GO, Verdict
from ragkit.runbook.deployment import own_app
from tests.conftest import NEW, OLD, changed, with_plan
from tests.migration.partitions.tables import run
from tests.migration.versioned_view.conftest import VIEW, rows
from tests.stand_ins import app as stand_in

GOOD = Verdict(GO, [], {})


@pytest.fixture
def served(ready, engine):
    """By the address of an app that says which model it serves."""

    def at(url, **changes):
        changes = {"app.url": url, "database.expect": describe(engine.url), **changes}
        migration = with_plan(ready, changes)
        return migration, own_app(migration, None)

    return at


def test_the_view_is_made_before_the_app_is_asked_for(served, engine):
    with stand_in.serving(OLD) as url:
        migration, app = served(url)
        with pytest.raises(DeployError) as error:
            cut_over(migration, app, GOOD, "tea")
    assert "options=-csearch_path=ragkit_v2,public (or the schema argument ragkit_v2)" in str(
        error.value
    )
    assert f"EMBEDDING_MODEL={NEW}) by hand, and run this step again" in str(error.value)
    assert migration.phase() != phases.CUT_OVER
    assert rows(engine, f"select count(*) from {VIEW}") == [(6,)]
    with stand_in.serving(NEW) as url:
        migration, app = served(url)
        assert cut_over(migration, app, GOOD, "tea").already
    assert migration.phase() == phases.CUT_OVER
    with stand_in.serving(OLD) as url:
        migration, app = served(url)
        roll_back(migration, app, "tea")
    assert migration.phase() == phases.ROLLED_BACK
    assert rows(engine, f"select count(*) from {VIEW}") == [(6,)]  # stays for the next cut-over


def test_what_is_in_the_way_stops_it_before_the_app_is_touched(served, engine):
    run(engine, "create schema ragkit_v2", f"create table {VIEW} ()")
    migration, app = served("http://127.0.0.1:9")
    with pytest.raises(SchemaError, match="not made by ragkit"):
        cut_over(migration, app, GOOD, "tea")


def test_the_next_migration_needs_another_name(served, engine, plan):
    migration, _ = served("")
    migration.record(phases.CUT_OVER)
    with engine.begin() as connection:
        drop_old_column(connection, migration)
    following = changed(plan, {"app.way": "view", "old.model": NEW, "new.model": OLD})
    with pytest.raises(SchemaError, match=r"is complete, and 'embedding' holds .* another name"):
        Migration.open(following, engine)
    third = changed(following, {"new.column": "third"})
    assert Migration.open(third, engine).phase() == phases.PLANNED
