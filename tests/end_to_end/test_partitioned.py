"""A partitioned table: every phase on the real app, while partitions and people come and go."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.retirement import retire
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import IN_PLACE, read_status
from ragkit.migration.verdict import GO
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.start_sandbox import start_sandbox
from tests.conftest import (
    ROOT,
    free_port,
)
from tests.migration.backfill.test_follower import following, vector, wait_for
from tests.migration.backfill.vectors import check_vectors
from tests.migration.partitions.tables import run

NEW, OLD = "all-minilm-l6-v2", "wordllama-256"
IN_PARTITIONS = (
    "alter table amenities rename to plain",
    "create table amenities (like plain including all) partition by range (id)",
    "create table a partition of amenities for values from (minvalue) to (100)",
    "create table b partition of amenities for values from (100) to (1000) partition by hash (id)",
    "create table b0 partition of b for values with (modulus 2, remainder 0)",
    "create table b1 partition of b for values with (modulus 2, remainder 1)",
    "create table z partition of amenities for values from (100000) to (maxvalue)",
    "insert into amenities select * from plain",
    "drop table plain cascade",
)


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    """The sandbox, its table in partitions, before the backfill."""
    folder = tmp_path_factory.mktemp("partitioned")
    changes = f"app.port={free_port()}", "old.retire=true"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(folder / "home"))
        runbook = Runbook.of(Parameters(ROOT / "params" / "sandbox.yaml", folder, changes))
        list(start_sandbox(runbook))
    run(runbook.engine, *IN_PARTITIONS)
    yield runbook
    runbook.sandbox.remove()


def insert(runbook, table, keys):
    """With the old model's vectors."""
    columns = "id, name, description, category, content, embedding"
    for key in keys:
        text = f"A new shop of number {key}."
        vector = str(runbook.old_embedder.embed_query(text).tolist())
        values = f"({key}, 'New', '{text}', 'shop', '{text}', '{vector}')"
        run(runbook.engine, f"insert into {table} ({columns}) values {values}")


def attach(runbook, name, first, end):
    """A table with other column numbers than the root's, and some rows without a new vector."""
    columns = sa.inspect(runbook.engine).get_columns("amenities")
    others = ", ".join(f'"{c["name"]}"' for c in reversed(columns))
    required = [f'alter "{c["name"]}" set not null' for c in columns if not c["nullable"]]
    run(
        runbook.engine,
        f"create table {name} as select 0 as gone, {others} from amenities where false",
        f"alter table {name} drop column gone",
        f"alter table {name} {', '.join(required)}",
    )
    insert(runbook, name, range(first, first + 20))
    bounds = f"for values from ({first}) to ({end})"
    run(runbook.engine, f"alter table amenities attach partition {name} {bounds}")


def ask(runbook, question):
    return runbook.app.smoke_test(question, runbook.app.serving().model)


def is_complete(migration):
    status = read_status(migration, OLD)
    return status.done == status.total


@pytest.mark.timeout(300)
def test_the_whole_way(runbook):
    engine, migration, app = runbook.engine, runbook.migration, runbook.app
    new, old = runbook.new_embedder, runbook.old_embedder
    assert expand(migration)
    stop, done = threading.Event(), threading.Event()

    def people():
        for turn in range(10_000):
            insert(runbook, "amenities", [100_000 + turn])
            run(
                engine,
                f"update amenities set content = content || '!' where id = {turn % 250}",
                f"update amenities set location = 'here' where mod(id, 50) = {turn % 50}",
                # to another partition and back
                f"update amenities set id = {300_000 + turn} where id = {turn}",
                f"update amenities set id = {turn - 3} where id = {300_000 + turn - 3}",
                f"delete from amenities where id = {100_000 + turn // 2}",
            )
            if turn == 5:
                attach(runbook, "m", 1000, 100_000)
                done.set()
            if stop.wait(0.1):
                return

    writer = threading.Thread(target=people)
    writer.start()
    list(run_backfill(migration, new))
    assert done.wait(20)
    stop.set()
    writer.join(20)
    list(run_backfill(migration, new))
    check_vectors(migration, new)
    assert vector(migration, 1010, runbook.plan.new.column) is not None
    built = index.build(migration)
    assert built.valid
    assert built.bytes > 0
    assert migration.phase() == phases.BACKFILLED

    with following(migration, new) as errors:
        run(engine, "update amenities set content = 'Purple umbrellas for sale.', "
            "description = 'Purple umbrellas for sale.' where id = 1001")  # fmt: skip
        wait_for(lambda: is_complete(migration))
    assert errors == []

    verdict = runbook.decide(runbook.evidence())
    assert [gate for gate in verdict.gates if not gate.passed] == []
    assert verdict.verdict == GO
    status = read_status(migration, OLD)
    assert (status.done, status.triggers) == (status.total, IN_PLACE)

    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    assert "Purple umbrellas" in ask(runbook, "purple umbrellas for sale")
    with following(migration, new, old) as errors:
        run(engine, "update amenities set id = 777, content = 'Yellow rubber boots.', "
            "description = 'Yellow rubber boots.' where id = 1001")  # fmt: skip
        wait_for(lambda: "Yellow rubber boots" in ask(runbook, "yellow rubber boots"))
        wait_for(lambda: not read_status(migration, NEW).old_missing)
    assert errors == []
    check_vectors(migration, new)
    assert vector(migration, 777, "embedding") == pytest.approx(
        old.embed_query("Yellow rubber boots."), abs=1e-6
    )

    assert roll_back(migration, app, "tea").revision.model == OLD
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")
    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    assert retire(migration, app).done
    assert "embedding" not in {c["name"] for c in sa.inspect(engine).get_columns("b0")}
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")
