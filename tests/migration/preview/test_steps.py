"""What the plan shows is what then runs, statement by statement."""

import re

import pytest
import sqlalchemy as sa

from ragkit.deploy.own_app.asked import AskedApp
from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.preview.steps import EXCLUSIVE, NONE, ROWS, SHARE_ROW, plan_statements
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import (
    allow_missing_old,
    expand,
    keep_old_column_current,
)
from ragkit.migration.swap.swap import swap
from ragkit.migration.versioned_view.view import make_view
from tests.conftest import changed, with_plan

CHANGES = re.compile(r"(create|alter|drop|grant|comment|lock)\b", re.IGNORECASE)


@pytest.fixture
def executed(engine):
    """The statements that changed something in the schema, as the driver got them."""
    seen: list[str] = []

    def note(connection, cursor, statement, *_):
        if CHANGES.match(statement.strip()) and "temporary" not in statement.lower():
            seen.append(_plain(statement))

    sa.event.listen(engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(engine, "before_cursor_execute", note)


def _plain(statement: str) -> str:
    text = " ".join(statement.split()).replace("( ", "(").lower()
    return text.replace("if not exists ragkit.", "ragkit.")


@pytest.mark.parametrize("placement", ["column", "side_table"])
def test_every_statement_is_told_before_it_runs(
    engine, plan, amenities, new_embedder, executed, placement
):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter embedding set not null')
        connection.exec_driver_sql('grant select on "Amenities" to public')
    executed.clear()
    changes = {"old.retire": True, "new.placement": placement}
    migration = Migration.open(changed(plan, changes), engine)
    told = plan_statements(migration, "a minute", "a second")
    assert executed == []
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    allow_missing_old(migration)
    keep_old_column_current(migration)
    migration.record(phases.CUT_OVER)
    with engine.begin() as connection:
        drop_old_column(connection, migration)
    shown = {_plain(s.sql) for s in told}
    assert [statement for statement in executed if statement not in shown] == []
    updates = {_plain(s.sql) for s in told if s.sql.startswith(("update", "insert into"))}
    ledgers = {s for s in shown if "ragkit.spending" in s or "ragkit.quota" in s}  # of paid models
    assert shown - set(executed) == updates | ledgers


@pytest.mark.parametrize("way", ["view", "swap"])
def test_so_is_every_statement_of_a_way_to_the_new_column(
    engine, plan, amenities, new_embedder, executed, way
):
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" alter embedding set not null')
        connection.exec_driver_sql('grant select, update on "Amenities" to public')
        connection.exec_driver_sql('grant select (embedding) on "Amenities" to public')
    executed.clear()
    changes = {"old.retire": True, "app.way": way, "app.target": "command", "app.view_copy": True}
    migration = Migration.open(changed(plan, changes), engine)
    told = plan_statements(migration, "a minute", "a second")
    assert executed == []
    expand(migration)
    list(run_backfill(migration, new_embedder))
    index.build(migration)
    executed.clear()
    allow_missing_old(migration)
    keep_old_column_current(migration)
    if way == "view":
        make_view(migration)
    else:
        assert swap(migration, AskedApp("http://127.0.0.1:9"))
    migration.record(phases.CUT_OVER)
    with engine.begin() as connection:
        drop_old_column(connection, migration)
    later = [s for s in told if s.step in ("cutover", "retire")]
    shown = {_plain(s.sql) for s in later}
    assert [statement for statement in executed if statement not in shown] == []
    assert shown - set(executed) == set()
    locking = {s.sql for s in later if s.lock == EXCLUSIVE}
    assert any("rename column" in sql for sql in locking)


def test_a_side_table_takes_no_exclusive_lock_before_the_retirement(migration):
    beside = with_plan(migration, {"new.placement": "side_table"})
    told = plan_statements(beside, "", "")
    assert [s.sql for s in told if s.lock == EXCLUSIVE and s.step != "retire"] == []
    assert [s.sql for s in told if s.step == "backfill" and s.lock == ROWS] == []


def test_each_has_a_lock_a_duration_and_a_way_back(migration):
    told = plan_statements(migration, "a minute", "a second")
    assert all(s.lock and s.duration and s.undo for s in told)
    assert [s.step for s in told] == sorted(
        (s.step for s in told), key=["backfill", "cutover", "retire"].index
    )
    for statement in told:
        if "add column" in statement.sql:
            assert statement.lock == EXCLUSIVE
        if statement.sql.lower().startswith("create table"):
            assert statement.lock == NONE
        if statement.sql.startswith("create or replace trigger zz_"):
            assert statement.lock == SHARE_ROW


def test_without_an_index_none_is_told_and_without_not_null_none_is_dropped(migration):
    told = plan_statements(with_plan(migration, {"index.type": "none"}), "", "")
    assert not any("create index" in s.sql or "drop not null" in s.sql for s in told)


def test_nothing_is_changed(migration, engine):
    plan_statements(migration, "", "")
    names = sa.inspect(engine).get_schema_names()
    assert "ragkit" not in names
