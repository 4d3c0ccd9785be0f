"""The real function with a shadow: what the caller gets, what the log says."""

import json
import time

import numpy as np
import psutil
import pytest

from ragkit.comparison.shadowed import read
from ragkit.embedders import load
from ragkit.migration import backfill, schema
from ragkit.migration.plan import Plan
from ragkit.migration.subject import Migration
from tests.conftest import ROLE, TEXTS, make_table
from tests.function.test_function import served, settings

SHADOW = "wordllama-64"
SLOW = """
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
    """Both columns filled, both spaces in the contract."""
    server.create("shadow", owner=ROLE)
    engine = server.engine(ROLE, "shadow")
    plan = Plan(new_model=SHADOW, new_column="embedding_64", database="env", app="manual")
    make_table(engine, plan, TEXTS)
    migration = Migration.open(plan, engine)
    schema.expand(migration)
    list(backfill.fill(migration, load(SHADOW)))
    yield engine
    engine.dispose()


def lines(source, wanted):
    log, deadline = source.parent / "function.log", time.monotonic() + 20
    while time.monotonic() < deadline:
        found = [line for line in log.read_text().splitlines() if line.startswith('{"event"')]
        if len(found) >= wanted:
            return [json.loads(line) for line in found]
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def asked(client, times=5):
    return [client.post("/", json={"name": "a silent room"}) for _ in range(times)]


def test_each_answer_is_compared_in_one_line_without_the_question(source, migrated):
    with served(source, **settings(migrated)) as client:
        alone = asked(client, 1)[0].text
    shadow = {"SHADOW_MODEL": SHADOW, "SHADOW_SHARE": "1"}
    with served(source, **settings(migrated, **shadow)) as client:
        answers = asked(client)
        found = lines(source, 5)
    assert {answer.text for answer in answers} == {alone}
    assert {answer.headers["X-Embedding-Model"] for answer in answers} == {"wordllama-256"}
    assert len(found) == 5
    first = found[0]
    assert (first["model"], first["shadow"], first["k"]) == ("wordllama-256", SHADOW, 3)
    assert 0 <= first["overlap"] <= 1
    assert first["ms"] > 0
    assert first["shadow_ms"] > 0
    assert "silent" not in json.dumps(found)
    heard = read(source.parent / "function.log", "wordllama-256", SHADOW, seed=1)
    assert (heard.requests, heard.errors) == (5, 0)


@pytest.mark.parametrize(
    ("shadow", "says"),
    [
        ({"SHADOW_MODEL": "all-minilm-l6-v2"}, "SpaceNotReady"),
        ({"SHADOW_MODEL": "no-such-model"}, "UnknownModel"),
    ],
)
def test_a_shadow_that_fails_is_told_and_nobody_is_hurt(source, migrated, shadow, says):
    with served(source, **settings(migrated, SHADOW_SHARE="1", **shadow)) as client:
        assert [answer.status_code for answer in asked(client)] == [200] * 5
        found = lines(source, 5)
    assert all(line["error"].startswith(says) for line in found)


@pytest.mark.parametrize("share", ["0", "some"])
def test_no_share_or_a_wrong_one_is_no_shadow(source, migrated, share):
    shadow = {"SHADOW_MODEL": SHADOW, "SHADOW_SHARE": share}
    with served(source, **settings(migrated, **shadow)) as client:
        assert [answer.status_code for answer in asked(client)] == [200] * 5
    log = (source.parent / "function.log").read_text()
    assert '"event"' not in log
    assert ("no shadow: SHADOW_SHARE" in log) == (share == "some")


def took(client, times):
    """The median of so many answers, in seconds."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        assert client.post("/", json={"name": "tea"}).status_code == 200
        found.append(time.perf_counter() - began)
    return float(np.median(found))


def test_a_shadow_that_hangs_slows_nobody(source, migrated, tmp_path):
    """A model that takes half a second: what finds it busy is dropped and counted."""
    (tmp_path / "slow.py").write_text(SLOW)
    with served(source, **settings(migrated)) as client:
        took(client, 5)
        alone = took(client, 60)
    hanging = {"SHADOW_MODEL": "slow:Slow", "SHADOW_SHARE": "1", "PYTHONPATH": str(tmp_path)}
    with served(source, **settings(migrated, **hanging)) as client:
        took(client, 5)
        beside = took(client, 60)
        found = lines(source, 3)
    assert beside < 2 * alone + 0.005
    assert beside < 0.1
    assert sum(line["dropped"] for line in found) > 10


def test_a_function_that_cannot_start_leaves_no_shadows_behind(source, migrated):
    """Each request tries again; each would have left a thread."""
    broken = {"EMBEDDING_MODEL": "no-such-model", "SHADOW_MODEL": SHADOW, "SHADOW_SHARE": "1"}
    with served(source, **settings(migrated, **broken)) as client:
        assert {answer.status_code for answer in asked(client)} == {503}
        before = threads()
        assert {answer.status_code for answer in asked(client, 30)} == {503}
        assert threads() < before + 15


def threads():
    """Of all functions that this test serves, its forks too."""
    found = psutil.Process().children(recursive=True)
    return sum(p.num_threads() for p in found if "functions_framework" in " ".join(p.cmdline()))
