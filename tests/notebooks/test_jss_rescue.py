"""The mission's own story: gecko@001 answers 404, and with it the deployed function 503."""

import json
import threading
import time

import pytest

from tests.notebooks.test_jss import NEW, OLD, REAL, before, jss_yaml, site

__all__ = ["before", "site"]
RESCUE_SECONDS = 60
MIN_OVERLAP = 0.77
"""Of the bridge on the real vectors of both models."""


@pytest.fixture(scope="module")
def retired(site, before):
    """The params file; the old model is gone."""
    site.models.retired.add(OLD)
    params = site.folder / "jss apply.yaml"
    params.write_text(jss_yaml().replace("apply: false", "apply: true"))
    assert site.curl().status_code == 503
    return params


@pytest.fixture(scope="module")
def rescued(site, retired):
    """The command's document, and the seconds until the function answered again."""
    start, answered, stop = time.monotonic(), [], threading.Event()

    def ask() -> None:
        while not stop.wait(0.2):
            if site.curl().status_code == 200:
                answered.append(time.monotonic() - start)

    asking = threading.Thread(target=ask)
    asking.start()
    done = site.command("rescue", "--json", "--params", retired)
    stop.set()
    asking.join()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), answered[0]


def test_it_says_what_answers_and_what_does_not(rescued):
    document, _ = rescued
    diagnosis = document["diagnosis"]
    assert OLD in diagnosis["old_model"]
    assert diagnosis["new_model"] == "answers"
    assert not diagnosis["app"].startswith("answers")


def test_the_function_answers_by_the_new_model_within_a_minute(site, rescued):
    _, seconds = rescued
    assert seconds < RESCUE_SECONDS
    answer = site.curl()
    assert (answer.headers["X-Embedding-Model"], answer.headers["X-Served-By"]) == (NEW, "rescue")
    assert [set(row) for row in answer.json()["results"]] == [{"name", "description"}] * 3


@pytest.mark.skipif(not REAL, reason="the real vectors of ../shared/data are not here")
def test_the_bridge_on_the_real_vectors_is_as_is_known(rescued):
    bridge = rescued[0]["bridge"]
    assert bridge["refused"] == "no"
    assert float(bridge["overlap"].split()[0]) >= MIN_OVERLAP


def test_the_backfill_ends_the_rescue_and_the_migration_goes_on(site, retired, rescued):
    for step in ("backfill", "compare", "cutover"):
        done = site.command(step, "--params", retired)
        assert done.returncode == 0, done.stdout + done.stderr
    deadline = time.monotonic() + 20
    while (answer := site.curl()).headers["X-Served-By"] != "native":
        assert time.monotonic() < deadline
        time.sleep(0.5)
    assert answer.headers["X-Embedding-Model"] == NEW
    assert len(answer.json()["results"]) == 3
    status = json.loads(site.command("status", "--json", "--params", retired).stdout)["status"]
    assert (status["phase"], status["serving"]) == ("cut over", NEW)
