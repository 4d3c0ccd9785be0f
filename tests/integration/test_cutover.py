"""Cut over, roll back, cut over again, retire: on the real app, with traffic."""

import json
import subprocess
import threading

import httpx
import pytest
import sqlalchemy as sa
import yaml

from ragkit.app.manual import ManualApp
from ragkit.comparison import gates
from ragkit.errors import DeployError, GateError
from ragkit.migration import backfill, cutover, index, ledger, retire, schema
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Gate, Verdict
from ragkit.runbook import Runbook
from ragkit.runbook.start import start
from ragkit.sandbox.stand_in import Sandbox
from ragkit.shadow import EVENT
from tests.conftest import PYTHON, ROOT, environment, free_port


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    """The sandbox, migrated up to the comparison."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(tmp_path_factory.mktemp("cut over") / "home"))
        runbook = Runbook.from_names({"app_port": free_port()})
        list(start(runbook))
        schema.expand(runbook.migration)
        list(backfill.fill(runbook.migration, runbook.new_embedder))
        index.build(runbook.migration)
    yield runbook
    runbook.sandbox.remove()


def test_known_items_and_a_shadow_log_are_evidence_without_a_judgement(runbook, tmp_path):
    """By the command line, which leaves what the notebook leaves."""
    line = {"event": EVENT, "model": runbook.plan.old_model, "shadow": runbook.plan.new_model}
    line |= {"k": 3, "overlap": 0.5, "ms": 4.0, "shadow_ms": 8.0, "dropped": 0}
    log, params = tmp_path / "function.log", tmp_path / "known.yaml"
    log.write_text(json.dumps(line))
    plan = {"app_port": runbook.plan.app_port, "questions": "known-items", "qrels": "",
            "shadow_log": str(log), "run_dir": str(tmp_path)}  # fmt: skip
    params.write_text(yaml.safe_dump(plan))
    done = subprocess.run(
        [PYTHON, "-m", "ragkit", "compare", "--params", params], cwd=ROOT, capture_output=True,
        env=environment(RAGKIT_SANDBOX=str(runbook.sandbox.folders.home)), text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "GateError: INCONCLUSIVE: judged questions: none: known items" in done.stderr
    found = json.loads((tmp_path / "comparison.json").read_text())
    assert found["verdict"] == INCONCLUSIVE
    assert found["questions"]["proxy"]
    assert found["metrics"]["success@10"]["old"] > 0.8  # rows are found by their own words
    assert found["metrics"]["nDCG@10"]["change"]["high"] < 0  # and by words the old one is better
    assert found["shadow"]["requests"] == 1
    assert {"live shadow", "live shadow, p95"} <= {gate["name"] for gate in found["gates"]}
    assert "metric: nDCG@10" in done.stdout


@pytest.fixture(scope="module")
def verdict(runbook):
    return gates.decide(runbook.migration, runbook.evidence(), runbook.new_embedder)


def phase(runbook):
    with runbook.engine.connect() as connection:
        return ledger.phase(connection, runbook.migration.id)


def test_the_shipped_sandbox_is_a_go(verdict):
    assert verdict.verdict == GO
    assert all(gate.passed for gate in verdict.gates)


def test_no_go_switches_nothing(runbook, verdict):
    no_go = Verdict(NO_GO, [Gate("overlap", "0.42", "≥ 0.6", False)], {})
    with pytest.raises(GateError, match=r"NO-GO: overlap: 0\.42, wanted ≥ 0\.6"):
        cutover.cut_over(runbook.migration, runbook.app, no_go)
    assert runbook.app.serving().model == runbook.plan.old_model
    assert phase(runbook) == ledger.COMPARED


def test_retire_is_refused_before_the_cut_over(runbook, verdict):
    asked = runbook.plan.model_copy(update={"retire": True})
    migration = type(runbook.migration).open(asked, runbook.engine)
    with pytest.raises(GateError, match="cut over to all-minilm-l6-v2 first"):
        retire.retire(migration, runbook.app)


def test_cut_over_roll_back_cut_over_again_without_a_lost_request(runbook, verdict):
    app, seen, stop = runbook.app, [], threading.Event()

    def ask():
        with httpx.Client(base_url=app.url, timeout=30) as client:
            while not stop.is_set():
                answer = client.post("/", json={"name": "a quiet place"})
                seen.append((answer.status_code, answer.headers["X-Embedding-Model"]))

    old = app.serving()
    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    first = cutover.cut_over(runbook.migration, app, verdict)
    assert (first.already, first.revision.model) == (False, "all-minilm-l6-v2")
    assert phase(runbook) == ledger.CUT_OVER
    assert cutover.cut_over(runbook.migration, app, verdict).already is True

    back = cutover.roll_back(runbook.migration, app)
    assert back.revision == old  # the kept revision, not a new build
    assert phase(runbook) == ledger.ROLLED_BACK
    assert cutover.roll_back(runbook.migration, app).already is True

    again = cutover.cut_over(runbook.migration, app, verdict)
    assert again.revision.model == "all-minilm-l6-v2"
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in seen} == {200}
    assert {model for _, model in seen} == {"wordllama-256", "all-minilm-l6-v2"}
    assert phase(runbook) == ledger.CUT_OVER


def test_retire_does_nothing_unless_asked(runbook, verdict):
    found = retire.retire(runbook.migration, runbook.app)
    assert found.done is False
    assert "retire: true" in found.message
    columns = sa.inspect(runbook.engine).get_columns("amenities")
    assert "embedding" in [column["name"] for column in columns]


def test_retire_drops_the_old_column_and_the_app_goes_on(runbook, verdict):
    asked = runbook.plan.model_copy(update={"retire": True})
    migration = type(runbook.migration).open(asked, runbook.engine)
    assert retire.retire(migration, runbook.app).done is True
    columns = [c["name"] for c in sa.inspect(runbook.engine).get_columns("amenities")]
    assert "embedding" not in columns
    assert "embedding_minilm" in columns
    assert '"results"' in runbook.ask().answer
    reopened = type(runbook.migration).open(asked, runbook.engine)
    assert "before" in retire.retire(reopened, runbook.app).message


def test_after_that_the_sandbox_starts_afresh(runbook, verdict):
    assert "starting afresh" in "\n".join(start(runbook))
    assert phase(runbook) == ledger.PLANNED
    assert runbook.app.serving().model == "wordllama-256"


def test_an_override_is_recorded(runbook, verdict):
    """The fresh sandbox has an empty new column, so the revision cannot serve all the same."""
    plan = runbook.plan.model_copy(update={"override": "the old model is retired tomorrow"})
    migration = type(runbook.migration).open(plan, runbook.engine)
    schema.expand(migration)
    no_go = Verdict(NO_GO, [], {})
    with pytest.raises(DeployError, match="filling: finish the backfill"):
        cutover.cut_over(migration, runbook.app, no_go)
    with runbook.engine.connect() as connection:
        event = ledger.last(connection, migration.id, "override")
    assert event.detail["reason"] == "the old model is retired tomorrow"
    assert runbook.app.serving().model == "wordllama-256"


def test_an_app_of_somebody_else_is_looked_at_and_never_touched(runbook, verdict):
    app = ManualApp(runbook.app.url)
    assert app.serving().model == "wordllama-256"
    with pytest.raises(DeployError, match="EMBEDDING_MODEL=text-embedding-005 by hand"):
        app.stage("text-embedding-005")
    assert ManualApp("http://127.0.0.1:9").serving() is None
    assert ManualApp("").serving() is None


def test_a_sandbox_under_way_is_kept(runbook, verdict):
    assert "is under way: kept" in "\n".join(start(runbook))
    assert phase(runbook) == ledger.EXPANDED


def test_a_second_sandbox_is_a_second_folder_and_port(tmp_path):
    one, two = (Sandbox(free_port(), tmp_path / name) for name in ("one", "two"))
    assert one.url != two.url
    assert one.app.url != two.app.url
    for box in (one, two):
        box.remove()
