"""Cut-over, rollback, second cut-over and retirement on the real app, under traffic."""

import json
import re
import subprocess
import threading

import httpx
import pytest
import sqlalchemy as sa

from ragkit.deploy.own_app.manual import ManualApp
from ragkit.errors import DeployError, GateError, PhaseError
from ragkit.evaluation.gates import decide
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.migration import Migration
from ragkit.migration.retirement import retire
from ragkit.migration.schema import index
from ragkit.migration.schema.expansion import expand
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Gate, Verdict
from ragkit.retrieval.shadow import EVENT
from ragkit.runbook import Runbook
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.start_sandbox import start_sandbox
from tests.conftest import PYTHON, ROOT, changed, environment, free_port

SANDBOX = ROOT / "params" / "sandbox.yaml"


@pytest.fixture(scope="module")
def runbook(tmp_path_factory):
    """The sandbox, ready for the comparison."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAGKIT_SANDBOX", str(tmp_path_factory.mktemp("cut over") / "home"))
        runbook = Runbook.of(Parameters(SANDBOX, ROOT, (f"app.port={free_port()}",)))
        list(start_sandbox(runbook))
        expand(runbook.migration)
        list(run_backfill(runbook.migration, runbook.new_embedder))
        index.build(runbook.migration)
    yield runbook
    runbook.sandbox.remove()


def test_known_items_and_a_shadow_log_are_inconclusive_evidence(runbook, tmp_path):
    """On the command line, which writes the same files as the notebook."""
    line = {"event": EVENT, "model": runbook.plan.old.model, "shadow": runbook.plan.new.model}
    line |= {"k": 3, "overlap": 0.5, "ms": 4.0, "shadow_ms": 8.0, "dropped": 0}
    log = tmp_path / "function.log"
    log.write_text(json.dumps(line))
    overrides = [
        f"app.port={runbook.plan.app.port}", "evaluation.questions=known-items",
        "evaluation.qrels=", f"evaluation.shadow_log={log}",
    ]  # fmt: skip
    options = [word for override in overrides for word in ("--set", override)]
    process = subprocess.run(
        [PYTHON, "-m", "ragkit", "compare", "--params", SANDBOX, "--run-dir", tmp_path, *options],
        cwd=ROOT, capture_output=True,
        env=environment(RAGKIT_SANDBOX=str(runbook.sandbox.folders.home)), text=True, check=False,
    )  # fmt: skip
    assert process.returncode == 1
    assert "GateError: INCONCLUSIVE: judged questions: none: known items" in process.stderr
    comparison = json.loads((tmp_path / "comparison.json").read_text())
    assert comparison["verdict"] == INCONCLUSIVE
    assert comparison["questions"]["proxy"]
    metrics = comparison["metrics"]
    assert metrics["success@10"]["old"] > 0.8  # known items are asked by their own words
    assert metrics["nDCG@10"]["change"]["high"] < 0  # which favours the old model
    assert comparison["shadow"]["requests"] == 1
    assert {"live shadow", "live shadow, p95"} <= {gate["name"] for gate in comparison["gates"]}
    assert re.search(r"^nDCG@10 +0\.\d", process.stdout, re.MULTILINE)


@pytest.fixture(scope="module")
def verdict(runbook):
    return runbook.decide(runbook.evidence())


def phase(runbook):
    with runbook.engine.connect() as connection:
        return ledger.phase(connection, runbook.migration.id)


def test_the_verdict_on_the_sandbox_is_a_go(verdict):
    assert verdict.verdict == GO
    assert all(gate.passed for gate in verdict.gates)


def test_a_no_go_refuses_the_cut_over(runbook, verdict):
    no_go = Verdict(NO_GO, [Gate("overlap", "0.42", "≥ 0.6", False)], {})
    with pytest.raises(GateError, match=r"NO-GO: overlap: 0\.42, expected ≥ 0\.6"):
        cut_over(runbook.migration, runbook.app, no_go, "tea")
    assert runbook.app.serving().model == runbook.plan.old.model
    assert phase(runbook) == phases.COMPARED


def test_retire_is_refused_before_the_cut_over(runbook, verdict):
    plan = changed(runbook.plan, {"old.retire": True})
    migration = Migration.open(plan, runbook.engine)
    with pytest.raises(PhaseError, match="retire needs the phase 'cut over' or 'retired', this"):
        retire(migration, runbook.app)


def test_cut_over_and_rollback_lose_no_request(runbook, verdict):
    app, answers, stop = runbook.app, [], threading.Event()

    def send_requests():
        with httpx.Client(base_url=app.url, timeout=30) as client:
            while not stop.wait(0.02):
                answer = client.post("/", json={"name": "a quiet place"})
                answers.append((answer.status_code, answer.headers["X-Embedding-Model"]))

    old = app.serving()
    threads = [threading.Thread(target=send_requests) for _ in range(2)]
    for thread in threads:
        thread.start()
    switch = cut_over(runbook.migration, app, verdict, "tea")
    assert (switch.already, switch.revision.model) == (False, "all-minilm-l6-v2")
    assert phase(runbook) == phases.CUT_OVER
    assert cut_over(runbook.migration, app, verdict, "tea").already is True

    rollback = roll_back(runbook.migration, app, "tea")
    assert rollback.revision == old  # not a new build
    assert phase(runbook) == phases.ROLLED_BACK
    assert roll_back(runbook.migration, app, "tea").already is True

    second_switch = cut_over(runbook.migration, app, verdict, "tea")
    assert second_switch.revision.model == "all-minilm-l6-v2"
    stop.set()
    for thread in threads:
        thread.join()
    assert {status for status, _ in answers} == {200}
    assert {model for _, model in answers} == {"wordllama-256", "all-minilm-l6-v2"}
    assert phase(runbook) == phases.CUT_OVER


def test_retire_does_nothing_without_old_retire_in_the_plan(runbook, verdict):
    retirement = retire(runbook.migration, runbook.app)
    assert retirement.done is False
    assert "old.retire: true" in retirement.message
    columns = sa.inspect(runbook.engine).get_columns("amenities")
    assert "embedding" in [column["name"] for column in columns]


def test_retire_drops_the_old_column_and_the_app_still_answers(runbook, verdict):
    plan = changed(runbook.plan, {"old.retire": True})
    migration = Migration.open(plan, runbook.engine)
    assert retire(migration, runbook.app).done is True
    columns = [column["name"] for column in sa.inspect(runbook.engine).get_columns("amenities")]
    assert "embedding" not in columns
    assert "embedding_minilm" in columns
    assert '"results"' in runbook.ask().answer
    reopened = Migration.open(plan, runbook.engine)
    assert "before" in retire(reopened, runbook.app).message


def test_after_the_retirement_nothing_switches_and_the_migration_still_opens(runbook, verdict):
    for step in (
        lambda: cut_over(runbook.migration, runbook.app, verdict, "tea"),
        lambda: roll_back(runbook.migration, runbook.app, "tea"),
        lambda: decide(runbook.migration, None, None, runbook.new_embedder),
    ):
        with pytest.raises(PhaseError, match="this migration is 'retired'; the next step is: none"):
            step()
    assert phase(runbook) == phases.RETIRED
    assert Migration.open(runbook.plan, runbook.engine).phase() == phases.RETIRED


def test_after_a_retirement_the_sandbox_starts_again(runbook, verdict):
    assert "starting afresh" in "\n".join(start_sandbox(runbook))
    assert phase(runbook) == phases.PLANNED
    assert runbook.app.serving().model == "wordllama-256"


def test_an_override_is_recorded(runbook, verdict):
    """The new column is empty, so the new revision cannot serve, whatever the override says."""
    plan = changed(runbook.plan, {"gates.override": "the old model is retired tomorrow"})
    migration = Migration.open(plan, runbook.engine)
    expand(migration)
    no_go = Verdict(NO_GO, [], {})
    with pytest.raises(PhaseError, match="this migration is 'expanded'; the next step is: cont"):
        cut_over(migration, runbook.app, no_go, "tea")
    migration.record(phases.BACKFILLED)
    with pytest.raises(DeployError, match="this model cannot search yet"):
        cut_over(migration, runbook.app, no_go, "tea")
    with runbook.engine.connect() as connection:
        event = ledger.last_event(connection, migration.id, "override")
    assert event.detail["reason"] == "the old model is retired tomorrow"
    assert runbook.app.serving().model == "wordllama-256"


def test_an_app_that_is_deployed_by_hand_is_only_read(runbook, verdict):
    app = ManualApp(runbook.app.url)
    assert app.serving().model == "wordllama-256"
    with pytest.raises(DeployError, match="EMBEDDING_MODEL=text-embedding-005 by hand"):
        app.switch("text-embedding-005", lambda _: "", reuse=False)


def test_a_sandbox_in_the_middle_of_a_migration_is_not_reset(runbook, verdict):
    assert "is under way" in "\n".join(start_sandbox(runbook))
    assert phase(runbook) == phases.BACKFILLED
