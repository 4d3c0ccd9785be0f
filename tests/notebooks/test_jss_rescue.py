"""The mission's own story: gecko@001 answers 404, and with it the deployed function 503."""

import json
import threading
import time
from functools import partial

import httpx
import pytest
import sqlalchemy as sa

from tests.notebooks.test_jss import NEW, OLD, REAL, before, jss_yaml, site
from tests.runbook.judging.page_process import judge_page

__all__ = ["before", "site"]
RESCUE_SECONDS = 60
QUESTIONS = 90
"""To judge at most."""
MIN_OVERLAP = 0.77
"""Of the bridge on the real vectors of both models."""


@pytest.fixture(scope="module")
def retired(site, before):
    """The params file; the old model is gone."""
    site.models.retired.add(OLD)
    params = site.folder / "jss apply.yaml"
    kept = f"judging: {{folder: '{site.folder / 'judgements'}'}}\n"
    params.write_text(jss_yaml().replace("apply: false", "apply: true") + kept)
    assert site.curl().status_code == 503
    return params


@pytest.fixture(scope="module")
def dry_run(site, retired):
    """The params file as it is shipped: nothing is deployed."""
    params = site.folder / "jss.yaml"
    params.write_text(jss_yaml())
    return site.run(params)


def test_a_dry_run_says_the_one_variable_to_redeploy(site, dry_run):
    done, folder = dry_run
    assert "this run begins with a rescue" in done.stdout
    stopped = json.loads((folder / "summary.json").read_text())["stopped"]
    assert stopped["notebook"] == "rescue"
    assert "set app.apply: true to deploy" in stopped["reason"]
    page = (folder / "rescue.html").read_text()
    assert f"EMBEDDING_MODEL={NEW}" in page
    assert site.curl().status_code == 503


@pytest.fixture(scope="module")
def rescued(site, retired, dry_run):
    """A whole run, until a verdict is asked for, and the seconds until the function answered."""
    start, answered, stop = time.monotonic(), [], threading.Event()

    def ask() -> None:
        while not stop.wait(0.2):
            answer = site.curl()
            if answer.status_code == 200:
                answered.append((time.monotonic() - start, answer.headers["X-Served-By"]))
            elif answered:
                answered.append((time.monotonic() - start, f"failed {answer.status_code}"))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        done, folder = site.run(retired)
    finally:
        stop.set()
        asking.join()
    assert "INCONCLUSIVE: judged questions of both models" in done.stdout + done.stderr
    return folder, answered


@pytest.fixture(scope="module")
def judged(site, retired, rescued):
    """What `ragkit judge` says to somebody who knows the amenities: the contents of rows are the
    questions, and rows of the same category are relevant."""
    engine = site.server.engine(database="assistantdemo")
    with engine.connect() as connection:
        rows = connection.execute(sa.text("select content, category from amenities"))
        categories = {row.content: row.category for row in rows}
    with judge_page(retired, site.env) as address:
        ask = partial(httpx.post, address, timeout=30)
        state = ask(json={"add": "\n".join(list(categories)[:QUESTIONS])}).json()
        while state["decided"] == "open" and state["turn"]:
            same = categories[state["row"]["text"]] == categories[state["question"]]
            answer = "relevant" if same else "not"
            state = ask(json={"turn": state["turn"], "answer": answer}).json()
    return state


@pytest.fixture(scope="module")
def migrated(site, retired, judged):
    """The same run again."""
    done, folder = site.run(retired)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_people_judge_the_new_model_until_the_floor_is_decided(judged):
    assert judged["decided"] == "yes"
    assert judged["figure"].startswith("Precision@3 of the new model: ")
    assert "at least 0.30. You may stop" in judged["outlook"]


def test_the_verdict_is_a_go_by_evidence(migrated):
    verdict = json.loads((migrated / "verdict.json").read_text())
    assert verdict["verdict"] == "GO"
    gates = {gate["name"]: gate for gate in verdict["gates"]}
    assert gates["precision@3, judged by people"]["passed"]
    assert not any(name.startswith("judged questions") for name in gates)
    page = (migrated / "index.html").read_text()
    assert "One person judged the rows of" in page
    assert "overridden" not in page


def test_the_whole_run_begins_with_the_rescue_and_ends_on_the_complete_column(
    site, rescued, migrated
):
    folder, answered = rescued
    assert order_of(folder) == ["01_inspect", "rescue", "02_backfill", "03_compare", "index"]
    assert order_of(migrated)[-4:] == ["03_compare", "04_cutover", "05_retire", "index"]
    ways = [way for _, way in answered]
    assert ways == sorted(ways, key=["rescue", "native"].index)  # first one, then the other
    assert {*ways} == {"rescue", "native"}
    answer = site.curl()
    assert (answer.headers["X-Embedding-Model"], answer.headers["X-Served-By"]) == (NEW, "native")
    assert [set(row) for row in answer.json()["results"]] == [{"name", "description"}] * 3


def order_of(folder) -> list[str]:
    """The pages of a run, in the order in which they were written."""
    return [path.stem for path in sorted(folder.glob("*.html"), key=lambda p: p.stat().st_mtime)]


def test_it_says_what_answers_and_what_does_not(rescued):
    page = (rescued[0] / "rescue.html").read_text()
    assert f"{OLD}" in page
    assert "answers" in page


def test_the_function_answers_by_the_new_model_within_a_minute(rescued):
    """From the beginning of the rescue, as it says itself, and in the run as a curl sees it."""
    folder, answered = rescued
    figures = json.loads((folder / "rescue.json").read_text())
    assert figures["seconds_to_first_answer"] < RESCUE_SECONDS
    inspection = json.loads((folder / "summary.json").read_text())["seconds"]["01_inspect"]
    assert answered[0][0] < inspection + RESCUE_SECONDS


def test_its_figures_are_there_and_the_service_is_drawn(rescued):
    folder, _ = rescued
    figures = json.loads((folder / "rescue.json").read_text())
    assert figures["is_proxy"]
    assert figures["quality_estimated"]["low"] > 0.5
    assert figures["pairs"] > figures["bought"] > 0
    assert figures["texts_bought_per_request"]["again"] == 0
    assert figures["degraded"] == 0
    assert (folder / "service.png").stat().st_size > 5000
    assert "The service since the rescue" in (folder / "index.html").read_text()


@pytest.mark.skipif(not REAL, reason="the real vectors of ../shared/data are not here")
def test_the_bridge_on_the_real_vectors_is_as_is_known(rescued):
    figures = json.loads((rescued[0] / "rescue.json").read_text())
    assert figures["refused"] is None
    assert figures["overlap"]["mean"] >= MIN_OVERLAP


def test_the_migration_is_cut_over(site, retired, migrated):
    status = json.loads(site.command("status", "--json", "--params", retired).stdout)["status"]
    assert (status["phase"], status["serving"]) == ("cut over", NEW)
