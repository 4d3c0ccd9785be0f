"""The whole way with a side table, on the real app, while people write."""

import threading
import time

import pytest
import sqlalchemy as sa

from ragkit.errors import SchemaError, SpaceMismatch
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.inspection.whose.vector_sample import sample_old
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import drop_old_column, retire
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand, keep_old_column_current
from ragkit.migration.status import IN_PLACE, read_status
from ragkit.migration.verdict import GO
from ragkit.retrieval import contract_changes
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.start_sandbox import start_sandbox
from tests.conftest import ROOT, changed, embedder_of, free_port, gates_of
from tests.migration.backfill.test_follower import following, wait_for
from tests.migration.backfill.vectors import check_no_orphans, check_vectors

NEW, OLD = "all-minilm-l6-v2", "wordllama-256"


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    """The sandbox with a side table, before the backfill."""
    folder = tmp_path_factory.mktemp("side table")
    changes = f"app.port={free_port()}", "new.placement=side_table", "old.retire=true"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(folder / "home"))
        runbook = Runbook.of(Parameters(ROOT / "params" / "sandbox.yaml", folder, changes))
        list(start_sandbox(runbook))
    yield runbook
    runbook.sandbox.remove()


def columns(runbook):
    return {column["name"] for column in sa.inspect(runbook.engine).get_columns("amenities")}


def write(runbook, statement, **values):
    with runbook.engine.begin() as connection:
        connection.execute(sa.text(statement), values)


def insert(runbook, key, text):
    """As the app does, with the old model's vector."""
    vector = str(runbook.old_embedder.embed_query(text).tolist())
    write(
        runbook,
        "insert into amenities (id, name, description, category, content, embedding) "
        "values (:key, 'New', :text, 'shop', :text, cast(:vector as vector))",
        key=key, text=text, vector=vector,
    )  # fmt: skip


def is_complete(migration):
    status = read_status(migration, OLD)
    return status.done == status.total


def ask(runbook, question):
    return runbook.app.smoke_test(question, runbook.app.serving().model)


def test_the_whole_way(runbook):
    migration, app, new = runbook.migration, runbook.app, runbook.new_embedder
    before, stop = columns(runbook), threading.Event()
    expand(migration)
    assert columns(runbook) == before

    def people():
        for turn in range(10_000):
            insert(runbook, 100_000 + turn, f"A new shop of number {turn}.")
            write(runbook, "update amenities set content = content || '!' where id = :n", n=turn)
            write(runbook, "update amenities set location = 'here' where mod(id, 50) = :n",
                  n=turn % 50)  # fmt: skip
            write(runbook, "delete from amenities where id = :key", key=100_000 + turn // 2)
            if stop.wait(0.2):
                return

    writer = threading.Thread(target=people)
    writer.start()
    list(run_backfill(migration, new))
    stop.set()
    writer.join(20)
    list(run_backfill(migration, new))
    check_vectors(migration, new)
    check_no_orphans(migration)
    assert index.build(migration).valid
    assert migration.phase() == phases.BACKFILLED

    with following(migration, new) as errors:
        insert(runbook, 200_000, "Purple umbrellas for sale.")
        wait_for(lambda: is_complete(migration))
    assert errors == []

    verdict = runbook.decide(runbook.evidence())
    assert [gate for gate in verdict.gates if not gate.passed] == []
    assert verdict.verdict == GO
    status = read_status(migration, OLD)
    assert (status.done, status.triggers) == (status.total, IN_PLACE)

    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    assert "Purple umbrellas" in ask(runbook, "purple umbrellas for sale")
    write(runbook, "update amenities set content = :t, description = :t where id = 200000",
          t="Yellow rubber boots.")  # fmt: skip
    assert "Yellow rubber boots" not in ask(runbook, "purple umbrellas for sale")
    with following(migration, new, runbook.old_embedder) as errors:
        wait_for(lambda: "Yellow rubber boots" in ask(runbook, "yellow rubber boots"))
        wait_for(lambda: not read_status(migration, NEW).old_missing)
    assert errors == []

    assert roll_back(migration, app, "tea").revision.model == OLD
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")
    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    assert retire(migration, app).done
    assert columns(runbook) == before - {"embedding"}
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")

    with following(migration, new) as errors:
        write(runbook, "update amenities set content = :t, description = :t where id = 200000",
              t="Green woollen gloves.")  # fmt: skip
        wait_for(lambda: "Green woollen gloves" in ask(runbook, "green woollen gloves"))
    assert errors == []
    check_vectors(migration, new)


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
