"""Cut over, roll back and retire an app that knows nothing of ragkit: a real Flask app."""

import json
import subprocess

import httpx
import pytest
import sqlalchemy as sa

from ragkit.deploy.project_checks import Check
from ragkit.errors import DeployError, GateError
from ragkit.migration import ledger, phases
from ragkit.migration.cutover import cut_over, roll_back
from ragkit.migration.plan.files.yaml_core import dump_yaml
from ragkit.migration.retirement import retire
from ragkit.migration.verdict import GO, Verdict
from ragkit.runbook import Runbook
from ragkit.runbook.report_pages.results import write_verdict
from tests.conftest import NEW, OLD, PYTHON, ROOT, changed, environment
from tests.runbook.conftest import by_script

GOOD = Verdict(GO, [], {})
FORM = {"doc", "text"}
"""The fields of the app's rows."""


def phase(runbook):
    return runbook.migration.phase()


def columns(runbook):
    return {column["name"] for column in sa.inspect(runbook.engine).get_columns("Amenities")}


def confirmations(runbook):
    with runbook.engine.connect() as connection:
        events = ledger.events(connection, runbook.migration.id)
    return [
        (event.kind, event.detail["confirmed"]) for event in events if "confirmed" in event.detail
    ]


def test_by_hand(site):
    """The operator deploys between two runs of the step; the answers show it."""
    runbook = site()
    assert runbook.status().serving == OLD
    assert Check("app", f"serves {OLD}", True) in runbook.inspection.checks
    with pytest.raises(DeployError, match=f"app to {NEW} by hand, .*now it serves {OLD}"):
        cut_over(runbook.migration, runbook.app, GOOD, runbook.smoke_question)
    assert phase(runbook) == phases.BACKFILLED
    site.app.switch(NEW, "new vector")
    switch = cut_over(runbook.migration, runbook.app, GOOD, runbook.smoke_question)
    assert (switch.already, switch.revision.model) == (True, NEW)
    assert [set(row) for row in json.loads(switch.answer)["data"]["hits"]] == [FORM] * 3
    assert phase(runbook) == phases.CUT_OVER
    write_verdict(runbook.run_dir, GOOD, switch)
    answer = runbook.ask()
    assert answer.serving == NEW
    assert answer.curl == (
        f"curl --get {site.app.url}/search --data-urlencode 'q=wool and fish' --data-urlencode n=3"
    )
    retiring = site(old__retire=True)
    site.app.switch(OLD, "embedding")
    with pytest.raises(GateError, match=f"the app serves {OLD}; cut over to {NEW} first"):
        retire(retiring.migration, retiring.app)
    roll_back(runbook.migration, runbook.app, runbook.smoke_question)
    assert phase(runbook) == phases.ROLLED_BACK
    site.app.switch(NEW, "new vector")
    cut_over(runbook.migration, runbook.app, GOOD, runbook.smoke_question)
    assert retire(retiring.migration, retiring.app).done
    assert "embedding" not in columns(runbook)
    assert site().status().serving == NEW


def test_by_a_script(site):
    runbook = by_script(site)
    switch = cut_over(runbook.migration, runbook.app, GOOD, runbook.smoke_question)
    assert (switch.already, switch.revision.model) == (False, NEW)
    assert roll_back(runbook.migration, runbook.app, "tea").revision.model == OLD
    cut_over(runbook.migration, runbook.app, GOOD, runbook.smoke_question)
    retiring = by_script(site, old__retire=True)
    assert retire(retiring.migration, retiring.app).done
    assert site.app.log.read_text().splitlines()[1:] == [
        f"cut-over {NEW} public.Amenities.new vector 64",
        f"rollback {OLD} public.Amenities.embedding 256",
        f"cut-over {NEW} public.Amenities.new vector 64",
    ]
    assert phase(runbook) == phases.RETIRED


def test_a_script_that_changes_nothing_is_rolled_back(site):
    """The answers tell, whatever the script says."""
    runbook = by_script(site)
    idle = changed(runbook.plan, {"app.deploy": "true", "app.command_seconds": 4.0})
    failing = Runbook(idle, runbook.run_dir)
    with pytest.raises(
        DeployError, match=rf"4 s after .*the app serves {OLD}, .*roll_back has put"
    ):
        cut_over(failing.migration, failing.app, GOOD, "tea")
    assert phase(runbook) == phases.BACKFILLED
    assert runbook.status().serving == OLD


def test_a_swap_is_undone_when_the_script_changes_nothing(site):
    runbook = by_script(site, app__way="swap")
    idle = changed(runbook.plan, {"app.deploy": "true", "app.command_seconds": 4.0})
    failing, before = Runbook(idle, runbook.run_dir), columns(runbook)
    with pytest.raises(DeployError, match="roll_back has put"):
        cut_over(failing.migration, failing.app, GOOD, "tea")
    assert columns(runbook) == before
    assert runbook.status().serving == OLD


def test_on_the_operator_s_word(site):
    silent = site(app__target="none", app__url="")
    with pytest.raises(DeployError, match=f"switch the app to {NEW} by hand"):
        cut_over(silent.migration, silent.app, GOOD, "tea")
    assert phase(silent) == phases.BACKFILLED

    def said(text, **changes):
        return site(app__target="none", app__url="", app__confirmed=text, **changes)

    runbook = said("Ana, 14:00")
    switch = cut_over(runbook.migration, runbook.app, GOOD, "tea")
    assert write_verdict(runbook.run_dir, GOOD, switch).name == "verdict.json"
    assert runbook.status().serving == runbook.ask().serving == NEW
    with pytest.raises(DeployError, match=r"app\.confirmed was recorded"):
        roll_back(runbook.migration, runbook.app, "tea")
    back = said("Ana, 15:00")
    roll_back(back.migration, back.app, "tea")
    assert back.status().serving == OLD
    again = said("Ana, 16:00", old__retire=True)
    cut_over(again.migration, again.app, GOOD, "tea")
    with pytest.raises(DeployError, match=f"stop the last process that uses {OLD} by hand"):
        retire(again.migration, again.app)
    last = said("Ben, 17:00: all are gone", old__retire=True)
    assert retire(last.migration, last.app).done
    assert confirmations(last) == [
        (phases.CUT_OVER, "Ana, 14:00"), (phases.ROLLED_BACK, "Ana, 15:00"),
        (phases.CUT_OVER, "Ana, 16:00"), (phases.RETIRED, "Ben, 17:00: all are gone"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"check.path": "/login"}, "expected JSON of the app, got text/html"),
        ({"check.path": "/nowhere"}, "the app answered 404"),
        ({"check.rows": "hits"}, "got the fields 'data': correct check.rows"),
        ({"check.field": "doc.key"}, "got the fields 'doc', 'text': correct check.field"),
        ({"check.body": '{"q": "{question}", "n": 0}'}, "answered no row to 3 of 3 questions"),
        ({"app.url": "http://127.0.0.1:9"}, "the app cannot be reached"),
    ],
)
def test_an_app_that_answers_otherwise_is_told_in_one_line(site, changes, message):
    runbook = site(**{name.replace(".", "__"): value for name, value in changes.items()})
    with pytest.raises(DeployError, match=message) as error:
        cut_over(runbook.migration, runbook.app, GOOD, "tea")
    assert "\n" not in str(error.value)
    assert runbook.status().serving is None
    (check,) = (c for c in runbook.inspection.checks if c.name == "app")
    assert (check.passed, message in check.observed) == (False, True)
    with pytest.raises(DeployError, match=message):
        runbook.ask()
    runbook.migration.record(phases.CUT_OVER)
    retiring = Runbook(changed(runbook.plan, {"old.retire": True}), runbook.run_dir)
    with pytest.raises(GateError, match=f"retire is refused: .*{message}"):
        retire(retiring.migration, retiring.app)


def test_the_commands_and_the_probe(site, tmp_path):
    """`ragkit cutover`, `ask` and `status` as a person calls them, in real processes."""
    plan = by_script(site, gates__override="tested by hand").plan
    params = tmp_path / "own.yaml"
    params.write_text(dump_yaml(plan.model_dump(by_alias=True)))

    def ragkit(*words):
        return subprocess.run(
            [PYTHON, "-m", "ragkit", *words, "--params", params], cwd=ROOT, check=False,
            env=environment(DATABASE_URL=site().engine.url.render_as_string()),
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    done = ragkit("cutover")
    assert done.returncode == 0, done.stderr
    assert f"EMBEDDING_MODEL={NEW} 'RAGKIT_COLUMN=new vector'" in done.stdout
    assert f"serving: {NEW}" in ragkit("status").stdout
    asked = ragkit("ask").stdout
    assert f"curl --get {site.app.url}/search" in asked
    assert '{"data":{"hits":[' in asked
    site.app.stop()
    asked = ragkit("ask")
    assert (asked.returncode, asked.stdout) == (1, "")
    assert "AppNotRecognised: the app cannot be reached" in asked.stderr
    assert len(asked.stderr.splitlines()) == 1
    with pytest.raises(httpx.ConnectError):
        httpx.get(site.app.url)
