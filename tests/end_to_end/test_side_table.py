"""The whole way with a side table, on the real app, while people write."""

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
from tests.conftest import ROOT, free_port
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
