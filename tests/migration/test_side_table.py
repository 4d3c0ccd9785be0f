"""What a side table may do, and what it refuses."""

import time

import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError, SpaceMismatch
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import drop_old_column
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.retrieval import contract_changes
from tests.conftest import changed, embedder_of, gates_of
from tests.migration.backfill.vectors import check_vectors

OLD = "wordllama-256"


@pytest.fixture
def beside(engine, plan, amenities):
    return Migration.open(changed(plan, {"new.placement": "side_table"}), engine)


def test_the_placement_cannot_be_changed_once_the_backfill_has_begun(beside, engine, plan):
    expand(beside)
    with pytest.raises(SchemaError, match="set its placement to side_table, which cannot be"):
        Migration.open(plan, engine)
    with engine.begin() as connection, pytest.raises(SpaceMismatch, match="choose another column"):
        unbound = Migration.open(changed(plan, {"new.column": "other"}), engine)
        contract_changes.bind(connection, unbound.new)
        moved = Migration.open(
            changed(plan, {"new.column": "other 2", "new.placement": "side_table"}), engine
        ).new
        contract_changes.bind(connection, type(moved)(**{**vars(moved), "column": "other"}))


def test_a_column_that_was_expanded_cannot_become_a_side_table(migration, engine, plan):
    expand(migration)
    with pytest.raises(SchemaError, match="set its placement to column"):
        Migration.open(changed(plan, {"new.placement": "side_table"}), engine)


def test_a_name_that_the_table_has_is_refused(engine, plan, amenities):
    taken = changed(plan, {"new.placement": "side_table", "new.column": "description"})
    with pytest.raises(SchemaError, match=r"set new\.column to another name"):
        Migration.open(taken, engine)


def test_triggers_that_were_dropped_are_put_back_and_what_they_missed_is_found(
    beside, engine, new_embedder
):
    expand(beside)
    list(run_backfill(beside, new_embedder))
    with engine.begin() as connection:
        connection.exec_driver_sql('alter table "Amenities" disable trigger all')
        connection.exec_driver_sql("update \"Amenities\" set content = 'Unseen.' where id = 1")
        connection.exec_driver_sql('delete from "Amenities" where id = 2')
    assert expand(beside) is False
    list(run_backfill(beside, new_embedder))
    check_vectors(beside, new_embedder)
    assert gates_of(beside)["coverage"].passed


def test_the_next_migration_begins_at_the_side_table_and_drops_it(
    beside, engine, plan, new_embedder
):
    expand(beside)
    list(run_backfill(beside, new_embedder))
    beside.record(phases.CUT_OVER)
    beside.record(phases.RETIRED)
    changes = {
        "old.model": plan.new.model, "old.column": plan.new.column, "old.placement": "side_table",
        "new.model": OLD, "new.column": "third",
    }  # fmt: skip
    following_one = Migration.open(changed(plan, changes), engine)
    assert sample_old(following_one).vectors.shape == (6, 64)
    assert measure_fidelity(following_one, following_one.old_vector, new_embedder).rows == 6
    expand(following_one)
    list(run_backfill(following_one, embedder_of(OLD)))
    check_vectors(following_one, embedder_of(OLD))
    check_vectors(following_one.reversed(), new_embedder)
    name = beside.new_side.name
    with engine.begin() as connection:
        ledger.record(connection, following_one.id, phases.CUT_OVER)
    keep_old_column_current(following_one)
    with engine.begin() as connection:
        drop_old_column(connection, following_one)
    with engine.begin() as connection:
        assert connection.scalar(sa.select(sa.func.to_regclass(name))) is None
        connection.exec_driver_sql("update \"Amenities\" set content = 'After.' where id = 1")
        connection.exec_driver_sql('delete from "Amenities" where id = 2')


def test_people_who_write_are_never_waiting_for_the_backfill(beside, engine, new_embedder):
    """An open transaction of ours holds nothing that theirs need."""
    expand(beside)
    list(run_backfill(beside, new_embedder))
    with engine.begin() as ours, engine.begin() as theirs:
        ours.exec_driver_sql(f"delete from {beside.new_side.name}")
        start = time.monotonic()
        theirs.exec_driver_sql("update \"Amenities\" set content = 'Now.' where id = 1")
        theirs.exec_driver_sql('delete from "Amenities" where id = 2')
        assert time.monotonic() - start < 0.5
        ours.rollback()
