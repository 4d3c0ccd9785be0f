"""The real function on a column that is still filling, because its old model is gone."""

import time

import pytest

from ragkit.embedding.load import load_embedder
from ragkit.migration.backfill.model_calls.costs import read_costs
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.rescue.service import start_rescue
from ragkit.retrieval.rescue.search import NOT_RANKED
from tests.conftest import ROLE, TEXTS, changed, make_table, with_plan
from tests.function.serve import function_variables, serve_function
from tests.function.test_function import STOCK, details, logged
from tests.stand_ins import vertex

NEW = "text-embedding-005"
QUESTION = {"name": "a silent room, or fish"}


@pytest.fixture(scope="module")
def site(server, source):
    """The function, the stand-in of its model, and the migration."""
    server.create("rescued", owner=ROLE)
    engine = server.engine(ROLE, "rescued")
    plan = changed(STOCK, {
        "old.model": "wordllama-256", "new.model": NEW, "new.column": "embedding_005",
        "index.type": "none",
    })  # fmt: skip
    make_table(engine, plan, TEXTS)
    with vertex.serving() as models, pytest.MonkeyPatch.context() as patch:
        env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": models.address}
        for name, value in env.items():
            patch.setenv(name, value)
        migration = Migration.open(plan, engine)
        start_rescue(migration, load_embedder(NEW))
        variables = function_variables(engine, EMBEDDING_MODEL=NEW, **env)
        with serve_function(source, **variables) as client:
            yield client, models, migration
    engine.dispose()


def test_it_answers_by_the_new_model_and_says_how(site):
    client, models, _ = site
    answer = client.post("/", json=QUESTION)
    assert answer.status_code == 200
    assert answer.headers["X-Served-By"] == "rescue"
    assert "X-Degraded" not in answer.headers
    assert {row["name"] for row in answer.json()["results"]} == {"Quiet Room", "Harbour Grill"}
    assert client.get("/healthz").json() == {"model": NEW, "ok": True, "served_by": "rescue"}
    assert 0 <= details(client)["coverage"] < 1
    assert [call[2] for call in models.calls][-1] == 3  # the question and two texts, together


def test_the_same_question_costs_nothing_more_than_its_own_vector(site):
    client, models, _ = site

    def texts():
        client.post("/", json=QUESTION)
        return models.calls[-1][2]

    wait_until(lambda: texts() == 1)  # the vectors are written after the answer


def test_what_it_asks_is_in_the_ledger_and_taken_from_the_quota(site):
    client, models, migration = site
    calls = len(models.calls)

    def counted():
        return sum(cost.requests for cost in read_costs(migration))

    wait_until(lambda: counted() == calls)
    client.post("/", json=QUESTION)
    wait_until(lambda: counted() == calls + 1)


def test_a_cold_start_without_the_model_answers_too(site, source):
    _, models, migration = site
    variables = function_variables(
        migration.engine, EMBEDDING_MODEL=NEW, GCP_PROJECT_ID="p", VERTEX_ENDPOINT=models.address
    )
    models.retired.add(NEW)
    try:
        with serve_function(source, **variables) as fresh:
            answer = fresh.post("/", json=QUESTION)
    finally:
        models.retired.clear()
    assert (answer.status_code, answer.headers["X-Degraded"]) == (200, NOT_RANKED)


def test_a_model_that_fails_degrades_the_answer_and_loses_none(site, source):
    client, models, _ = site
    models.retired.add(NEW)
    try:
        answer = client.post("/", json=QUESTION)
    finally:
        models.retired.clear()
    assert (answer.status_code, answer.headers["X-Degraded"]) == (200, NOT_RANKED)
    assert len(answer.json()["results"]) == 2
    assert "the new model did not rank" in logged(source)


@pytest.mark.parametrize("name", ["of the and", "a\0b", "' & | ! :*", "%s $1 {x}"])
def test_a_question_without_a_usable_word_finds_what_the_vectors_find(site, name):
    client, *_ = site
    answer = client.post("/", json={"name": name})
    assert answer.status_code == 200
    assert {row["name"] for row in answer.json()["results"]} == {"Quiet Room", "Harbour Grill"}


def test_a_new_revision_answers_while_the_model_is_silent(site, source):
    """However long the plan would wait."""
    _, models, migration = site
    env = {"GCP_PROJECT_ID": "p", "VERTEX_ENDPOINT": models.address}
    variables = function_variables(
        migration.engine, EMBEDDING_MODEL=NEW, REQUEST_SECONDS="4", **env
    )
    patient = with_plan(migration, {"rescue.seconds": 60.0})
    start_rescue(patient, load_embedder(NEW))
    models.delay = 20
    try:
        with serve_function(source, **variables) as client:
            answer = client.post("/", json=QUESTION)
    finally:
        models.delay = 0
        start_rescue(migration, load_embedder(NEW))
    assert (answer.status_code, answer.headers["X-Degraded"]) == (200, NOT_RANKED)


def test_a_rescue_that_was_changed_is_not_served(site, source):
    client, _, migration = site
    change_plan(migration, "20", "21")
    wait_until(lambda: client.post("/", json=QUESTION).status_code == 503)
    assert "does not have its checksum: run the rescue again" in logged(source)
    change_plan(migration, "21", "20")
    wait_until(lambda: client.post("/", json=QUESTION).status_code == 200)


def test_a_rescue_that_would_find_too_little_says_so(site):
    client, _, migration = site
    start_rescue(migration, load_embedder(NEW), judge=lambda plan, bridge: "it finds .1, not .3")
    wait_until(lambda: client.post("/", json=QUESTION).status_code == 503)
    for answer in (client.post("/", json=QUESTION), client.get("/healthz")):
        assert (answer.status_code, answer.json()["error"]) == (503, "it finds .1, not .3")
    start_rescue(migration, load_embedder(NEW))
    wait_until(lambda: client.post("/", json=QUESTION).status_code == 200)


def change_plan(migration, before, after):
    with migration.engine.begin() as connection:
        connection.exec_driver_sql(
            "update ragkit.rescue set plan = replace(plan, %s, %s)", (before, after)
        )


def wait_until(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_moves_to_the_complete_column_by_itself(site):
    client, _, migration = site
    list(run_backfill(migration, load_embedder(NEW)))
    change_plan(migration, "20", "21")  # a complete column needs no rescue, not even a whole one
    wait_until(lambda: client.post("/", json=QUESTION).headers.get("X-Served-By") == "native")
    assert len(client.post("/", json=QUESTION).json()["results"]) == 3
