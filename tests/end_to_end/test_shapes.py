"""A key of two columns, a text in JSON, one collection of several: every phase on the real app."""

import threading

import pytest
import sqlalchemy as sa

from ragkit.migration import phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.progress.audit import audit
from ragkit.migration.retirement import retire
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.status import read_status
from ragkit.migration.verdict import GO
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.start_sandbox import start_sandbox
from ragkit.sandbox.sample import DATA
from tests.conftest import ROOT, free_port
from tests.migration.backfill.test_follower import following, wait_for

NEW, OLD = "all-minilm-l6-v2", "wordllama-256"
RESHAPED = (
    "alter table amenities drop constraint amenities_pkey",
    "alter table amenities add tenant text not null default 't', add collection text not null "
    "default 'a', add payload jsonb, add primary key (tenant, id)",
    "update amenities set payload = jsonb_build_object('data', content)",
    "alter table amenities drop content",
    # another collection of the same table, with the same texts, of another tenant
    "insert into amenities (id, name, description, category, tenant, collection, payload, "
    "embedding) select id, 'Other', description, category, 'u', 'b', payload, embedding "
    "from amenities where id < 40",
)


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    """The sandbox with its table in another shape, before the backfill."""
    folder = tmp_path_factory.mktemp("shapes")
    judged = (line.split("\t") for line in (DATA / "qrels.tsv").read_text().splitlines())
    lines = (
        "\t".join([q, f"{{t,{row}}}" if row.isdecimal() else row, grade])
        for q, row, grade in judged
    )
    qrels = folder / "qrels.tsv"
    qrels.write_text("\n".join(lines))
    changes = (
        f"app.port={free_port()}", "old.retire=true", "table.key=[tenant, id]",
        # with %, for which pg8000 has a meaning of its own
        "table.content=(replace(payload ->> 'data', '%s', '5%'))",
        "table.where=collection = 'a' and id % 1000 < 999 and payload ->> 'data' <> '%\\'",
        f"evaluation.qrels={qrels}",
    )  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(folder / "home"))
        sandbox = Runbook.of(Parameters(ROOT / "params" / "sandbox.yaml", folder, changes[:1]))
        list(start_sandbox(sandbox))
        run(sandbox.engine, *RESHAPED)
        runbook = Runbook.of(Parameters(ROOT / "params" / "sandbox.yaml", folder, changes))
        assert runbook.sandbox  # of this environment
    yield runbook
    runbook.sandbox.remove()


def run(engine, *statements):
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ask(runbook, question):
    return runbook.app.smoke_test(question, runbook.app.serving().model)


def set_text(runbook, key, text):
    change = sa.text("""
        update amenities set payload = jsonb_build_object('data', cast(:text as text)),
            description = :text where tenant = 't' and id = :id
    """)
    with runbook.engine.begin() as connection:
        connection.execute(change, {"text": text, "id": key})


@pytest.mark.timeout(300)
def test_the_whole_way(runbook):
    engine, migration, app = runbook.engine, runbook.migration, runbook.app
    new, old = runbook.new_embedder, runbook.old_embedder
    expand(migration)
    stop = threading.Event()

    def people():
        for turn in range(10_000):
            run(engine, "update amenities set payload = jsonb_set(payload, '{data}', "
                f"to_jsonb(payload ->> 'data' || '!')) where id = {turn % 250}")  # fmt: skip
            run(engine, f"update amenities set payload = payload || '{{\"seen\": {turn}}}'")
            if stop.wait(0.1):
                return

    writer = threading.Thread(target=people)
    writer.start()
    list(run_backfill(migration, new))
    stop.set()
    writer.join(20)
    list(run_backfill(migration, new))
    counts = audit(migration)
    with engine.connect() as connection:
        rows = "select count(*) from amenities where collection = 'a'"
        assert counts.filled == counts.rows == connection.scalar(sa.text(rows))
        others = "select count(embedding_minilm) from amenities where collection = 'b'"
        assert connection.scalar(sa.text(others)) == 0
    index.build(migration)

    evidence = runbook.evidence()
    verdict = runbook.decide(evidence)
    assert [gate for gate in verdict.gates if not gate.passed] == []
    assert verdict.verdict == GO
    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    with following(migration, new, old) as errors:
        set_text(runbook, 31, "Yellow rubber boots.")
        wait_for(lambda: "Yellow rubber boots" in ask(runbook, "yellow rubber boots"))
        wait_for(lambda: not read_status(migration, NEW).old_missing)
    assert errors == []
    assert "Other" not in ask(runbook, "yellow rubber boots")
    assert roll_back(migration, app, "tea").revision.model == OLD
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")
    assert cut_over(migration, app, verdict, "tea").revision.model == NEW
    retired = retire(migration, app)
    assert retired.done
    assert "stays for the rows outside of table.where" in retired.message
    assert migration.phase() == phases.RETIRED
    run(engine, "delete from amenities where collection = 'b'")
    assert "Yellow rubber boots" in ask(runbook, "yellow rubber boots")
