"""The real function with a shadow model: its answers and its log."""

import json
import time

import numpy as np
import psutil
import pytest

from ragkit.embedding.load import load_embedder
from ragkit.evaluation.label_free.shadow_log import read_shadow_log
from ragkit.migration.backfill.pipeline import run_backfill
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.retrieval.shadow import EVENT
from tests.conftest import ROLE, TEXTS, make_plan, make_table
from tests.function.serve import function_variables, serve_function

SHADOW = "wordllama-64"
SLOW_MODEL = """
import time

class Slow:
    def embed_documents(self, texts):
        time.sleep(0.5)
        return [[1.0] * 64 for _ in texts]

    def embed_query(self, text):
        return self.embed_documents([text])[0]
"""


@pytest.fixture(scope="module")
def migrated(server):
    """A database with two filled columns, both in the contract."""
    server.create("shadow", owner=ROLE)
    engine = server.engine(ROLE, "shadow")
    plan = make_plan({"table.name": "amenities", "new.model": SHADOW, "new.column": "embedding_64"})
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    expand(migration)
    list(run_backfill(migration, load_embedder(SHADOW)))
    yield engine
    engine.dispose()


def shadow_log(source, min_lines):
    """The lines of the shadow in the function's log, at least `min_lines` of them."""
    log, deadline = source.parent / "function.log", time.monotonic() + 20
    while time.monotonic() < deadline:
        lines = [line for line in log.read_text().splitlines() if f'"event": "{EVENT}"' in line]
        if len(lines) >= min_lines:
            return [json.loads(line) for line in lines]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def ask(client, times=5):
    return [client.post("/", json={"name": "a silent room"}) for _ in range(times)]


def test_each_answer_is_compared_in_one_log_line_without_the_question(source, migrated):
    with serve_function(source, **function_variables(migrated)) as client:
        without_shadow = ask(client, 1)[0].text
    shadow = {"SHADOW_MODEL": SHADOW, "SHADOW_SHARE": "1"}
    with serve_function(source, **function_variables(migrated, **shadow)) as client:
        answers = ask(client)
        lines = shadow_log(source, 5)
    assert {answer.text for answer in answers} == {without_shadow}
    assert {answer.headers["X-Embedding-Model"] for answer in answers} == {"wordllama-256"}
    assert len(lines) == 5
    first = lines[0]
    assert (first["model"], first["shadow"], first["k"]) == ("wordllama-256", SHADOW, 3)
    assert 0 <= first["overlap"] <= 1
    assert first["ms"] > 0
    assert (first["rows"], first["shadow_rows"]) == (3, 3)
    assert first["shadow_ms"] > 0
    assert "silent" not in json.dumps(lines)
    summary = read_shadow_log(source.parent / "function.log", "wordllama-256", SHADOW, seed=1)
    assert (summary.requests, summary.errors) == (5, 0)


@pytest.mark.parametrize(
    ("shadow", "error"),
    [
        ({"SHADOW_MODEL": "all-minilm-l6-v2"}, "SpaceNotReady"),
        ({"SHADOW_MODEL": "no-such-model"}, "UnknownModel"),
    ],
)
def test_a_failing_shadow_is_logged_and_every_request_is_answered(source, migrated, shadow, error):
    with serve_function(
        source, **function_variables(migrated, SHADOW_SHARE="1", **shadow)
    ) as client:
        assert [answer.status_code for answer in ask(client)] == [200] * 5
        lines = shadow_log(source, 5)
    assert all(line["error"].startswith(error) for line in lines)


@pytest.mark.parametrize("share", ["0", "some"])
def test_without_a_valid_share_there_is_no_shadow(source, migrated, share):
    shadow = {"SHADOW_MODEL": SHADOW, "SHADOW_SHARE": share}
    with serve_function(source, **function_variables(migrated, **shadow)) as client:
        assert [answer.status_code for answer in ask(client)] == [200] * 5
    log = (source.parent / "function.log").read_text()
    assert EVENT not in log
    assert ("no shadow: SHADOW_SHARE" in log) == (share == "some")


def median_seconds(client, requests):
    durations = []
    for _ in range(requests):
        start = time.perf_counter()
        assert client.post("/", json={"name": "tea"}).status_code == 200
        durations.append(time.perf_counter() - start)
    return float(np.median(durations))


def test_a_slow_shadow_does_not_slow_the_answers(source, migrated, tmp_path):
    """A model that needs half a second: requests that find it busy are dropped and counted."""
    (tmp_path / "slow.py").write_text(SLOW_MODEL)
    with serve_function(source, **function_variables(migrated)) as client:
        median_seconds(client, 5)
        without_shadow = median_seconds(client, 60)
    slow_shadow = {"SHADOW_MODEL": "slow:Slow", "SHADOW_SHARE": "1", "PYTHONPATH": str(tmp_path),
                   "RAGKIT_PLUGIN_PATH": str(tmp_path)}  # fmt: skip
    with serve_function(source, **function_variables(migrated, **slow_shadow)) as client:
        median_seconds(client, 5)
        with_shadow = median_seconds(client, 60)
        lines = shadow_log(source, 3)
    assert with_shadow < 2 * without_shadow + 0.005
    assert with_shadow < 0.1
    assert sum(line["dropped"] for line in lines) > 10


def test_a_function_that_cannot_start_leaves_no_shadow_threads(source, migrated):
    """Each request tries to start it again, and must not leave a thread."""
    broken = {"EMBEDDING_MODEL": "no-such-model", "SHADOW_MODEL": SHADOW, "SHADOW_SHARE": "1"}
    with serve_function(source, **function_variables(migrated, **broken)) as client:
        assert {answer.status_code for answer in ask(client)} == {503}
        threads = count_threads()
        assert {answer.status_code for answer in ask(client, 30)} == {503}
        assert count_threads() < threads + 15


def count_threads():
    """Of all functions that this process serves, and of their forks."""
    processes = psutil.Process().children(recursive=True)
    return sum(p.num_threads() for p in processes if "functions_framework" in " ".join(p.cmdline()))
