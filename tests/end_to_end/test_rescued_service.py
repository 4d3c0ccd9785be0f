"""The sandbox whose app is brought to the new model before one row has a new vector."""

import threading
import time

import httpx
import pytest
import sqlalchemy as sa

from ragkit.errors import PhaseError
from ragkit.evaluation.bridge.sample import grow_sample
from ragkit.evaluation.metrics import trec
from ragkit.evaluation.questions import read_questions
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.rescue.service import deploy_new_model, end_rescue, start_rescue
from ragkit.migration.schema import index
from ragkit.retrieval.service import SearchService
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.start_sandbox import start_sandbox
from ragkit.sandbox.sample import DATA, QUESTIONS
from tests.conftest import ROOT, free_port

SANDBOX = ROOT / "params" / "sandbox.yaml"
MIN_SHARE = 0.97
"""Of the finished migration's nDCG: of each question's first answer, and of its second."""


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(tmp_path_factory.mktemp("rescue") / "home"))
        runbook = Runbook.of(Parameters(SANDBOX, ROOT, (f"app.port={free_port()}",)))
        list(start_sandbox(runbook))
    yield runbook
    runbook.sandbox.remove()


def ask(runbook, question="restaurants"):
    return httpx.post(runbook.app.url, json={"name": question}, timeout=30)


def ndcg(runbook, judged):
    """nDCG@10 of the service as it is now, by question."""
    migration = runbook.migration
    service = SearchService(
        runbook.engine, runbook.new_embedder, migration.plan.table.qualified_name, ["id"]
    )
    rankings = {
        name: [str(row["id"]) for row in service.search(text, 10).rows]
        for name, text in judged.texts.items() if name in judged.qrels
    }  # fmt: skip
    return float(trec.score_questions(judged.qrels, rankings, 10)["nDCG@10"].mean())


def test_the_service_is_rescued_filled_and_native_without_a_lost_request(runbook):
    migration, judged = runbook.migration, read_questions(QUESTIONS, DATA / "qrels.tsv")
    start = time.monotonic()
    rescue = start_rescue(migration, runbook.new_embedder)
    assert (rescue.language, rescue.text_index) == ("english", False)
    assert start_rescue(migration, runbook.new_embedder) == rescue  # safe to repeat
    switch = deploy_new_model(migration, runbook.app, "restaurants")
    first = ask(runbook)
    assert time.monotonic() - start < 60
    assert switch.revision.model == runbook.plan.new.model
    assert first.headers["X-Served-By"] == "rescue"
    assert first.headers["X-Embedding-Model"] == runbook.plan.new.model
    assert len(first.json()["results"]) == 3
    assert httpx.get(f"{runbook.app.url}/healthz").json()["served_by"] == "rescue"
    first_time = ndcg(runbook, judged)
    *_, fitting = grow_sample(migration, runbook.new_embedder, limit=200)
    with_bridge = start_rescue(migration, runbook.new_embedder, fitting.bridge)
    assert fitting.bridge
    assert with_bridge.bridge == fitting.bridge.method
    second_time = ndcg(runbook, judged)

    answers, stop = [], threading.Event()

    def traffic():
        while not stop.wait(0.02):
            answers.append(ask(runbook, "a silent room"))

    asking = threading.Thread(target=traffic)
    asking.start()
    try:
        list(run_backfill(migration, runbook.new_embedder))
        assert index.build(migration).valid
        deadline = time.monotonic() + 10
        while ask(runbook).headers["X-Served-By"] != "native":
            assert time.monotonic() < deadline
            time.sleep(0.2)
    finally:
        stop.set()
        asking.join()
    assert {answer.status_code for answer in answers} == {200}
    native = ndcg(runbook, judged)
    assert min(first_time, second_time) >= MIN_SHARE * native
    with runbook.engine.connect() as connection:
        events = [event.kind for event in ledger.events(connection, migration.id)]
    assert events.count("rescue") == 4
    assert migration.phase() == phases.BACKFILLED
    migration.record(phases.CUT_OVER)
    with pytest.raises(PhaseError, match="rescue needs the phase 'planned' or"):
        start_rescue(migration, runbook.new_embedder)


def test_it_leaves_nothing_behind(runbook):
    migration = runbook.migration
    end_rescue(migration)
    end_rescue(migration)
    with runbook.engine.connect() as connection:
        assert connection.scalar(sa.text("select count(*) from ragkit.rescue")) == 0
    assert ask(runbook).headers["X-Served-By"] == "native"
