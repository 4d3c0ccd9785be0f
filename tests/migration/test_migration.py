"""Opening a migration, and the way back, call no model: the provider may be dead."""

import pytest
import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.deploy.own_app.manual import ManualApp
from ragkit.embedding.load import load_embedder
from ragkit.errors import ConfigError, GateError
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import retire
from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import read_status
from ragkit.migration.verdict import GO, Verdict
from tests.conftest import TEXTS, changed, column_of, make_table
from tests.stand_ins import app
from tests.stand_ins.mortal import Mortal

PLUGIN = "tests.stand_ins.mortal:Mortal"


@pytest.fixture(autouse=True)
def provider(monkeypatch):
    monkeypatch.setattr(Mortal, "alive", True)
    monkeypatch.setattr(Mortal, "calls", 0)


@pytest.fixture
def plan(plan):
    return changed(plan, {"new.model": PLUGIN})


def test_opening_and_the_status_call_no_model(engine, plan, amenities):
    migration = Migration.open(plan, engine)
    status = read_status(migration, None)
    assert (status.phase, status.total) == (phases.PLANNED, len(TEXTS))
    assert migration.known_new is None
    assert Mortal.calls == 0


def test_the_first_step_asks_the_model_and_the_next_ones_the_contract(engine, plan, amenities):
    migration = Migration.open(plan, engine)
    expand(migration)
    assert Mortal.calls == 1
    list(run_backfill(migration, load_embedder(PLUGIN)))
    assert len(column_of(engine, migration, "new vector")) == len(TEXTS)
    reopened = Migration.open(plan, engine)
    assert reopened.known_new == Migration.open(plan, engine).new
    assert reopened.known_new.space.dimension == 64
    assert Mortal.calls == 2


@pytest.fixture
def dead(engine, plan, amenities, monkeypatch):
    """After the cut-over, the new model's provider dies."""
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, load_embedder(PLUGIN)))
    migration.record(phases.CUT_OVER)
    monkeypatch.setattr(Mortal, "alive", False)
    return plan


@pytest.fixture
def finishing(engine, dead):
    """The plan of the retirement."""
    named = {"database.expect": describe(engine.url)}
    return Migration.open(
        changed(dead, {"old.retire": True, "index.type": "none", **named}), engine
    )


def test_a_dead_provider_hinders_no_status_and_no_retirement(finishing):
    with app.serving(PLUGIN) as url:
        status = read_status(finishing, ManualApp(url).serving().model)
        assert (status.phase, status.done) == (phases.CUT_OVER, len(TEXTS))
        assert retire(finishing, ManualApp(url)).done


def test_a_dead_provider_hinders_no_rollback(engine, dead):
    migration = Migration.open(dead, engine)
    with app.serving(dead.old.model) as url:
        roll_back(migration, ManualApp(url), "tea")
    assert migration.phase() == phases.ROLLED_BACK


def test_retire_is_refused_while_rows_lack_the_new_vector(engine, finishing):
    clear = sa.update(finishing.table).values({"new vector": None})
    with engine.begin() as connection:
        connection.execute(clear.where(finishing.key == 1))
        connection.execute(sa.update(ledger.MIGRATION).values(caught_up_at=None))
    with (
        app.serving(PLUGIN) as url,
        pytest.raises(GateError, match=r"coverage: .* 1 pending.*; nothing was changed"),
    ):
        retire(finishing, ManualApp(url))
    assert "embedding" in {c["name"] for c in sa.inspect(engine).get_columns("Amenities")}


def test_another_database_than_expected_is_refused_at_once(engine, plan, amenities):
    other = changed(plan, {"database.expect": "shop at db.example.com"})
    with pytest.raises(ConfigError, match=r"'shop at .*', but .* leads to 'test ") as error:
        Migration.open(other, engine)
    assert "nothing was changed" in str(error.value)


def test_the_environment_alone_leads_no_cut_over_and_no_retirement(engine, plan, finishing):
    """Its database must stand in the params file, as the message does."""
    unnamed = changed(finishing.plan, {"database.expect": ""})
    steps = [
        lambda migration: cut_over(migration, ManualApp(""), Verdict(GO, [], {}), "tea"),
        lambda migration: retire(migration, ManualApp("")),
    ]
    with app.serving(PLUGIN) as url:
        for step in steps:
            with pytest.raises(ConfigError, match=r"set database\.expect: test ") as error:
                step(Migration.open(unnamed, engine))
        name = str(error.value).partition("database.expect: ")[2]
        named = changed(unnamed, {"database.expect": name})
        assert retire(Migration.open(named, engine), ManualApp(url)).done


def test_a_dead_plug_in_and_a_column_without_dimension_need_only_a_vector(engine, plan):
    make_table(engine, plan, TEXTS)
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter embedding type vector')
    gone = changed(plan, {"old.model": "tests.stand_ins.letters:Gone"})
    assert Migration.open(gone, engine).old.space.dimension == 256


def test_a_query_has_the_table_once_whatever_another_thread_does_between(engine, plan, amenities):
    migration = Migration.open(plan, engine)
    key = migration.key
    assert migration.new.space.dimension  # the model is asked
    expand(migration)
    migration.follow_names()
    query = migration.select(key, migration.vector(plan.old.column))
    assert len(query.get_final_froms()) == 1
