"""Whole migrations of an app whose column name is fixed, under a probe of its answers.

By a view two revisions stand behind a load balancer; by a swap one process is stopped and started.
"""

import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from ragkit.database.connecting import describe
from ragkit.migration.plan.files.yaml_core import dump_yaml
from tests.conftest import (
    NEW,
    OLD,
    PYTHON,
    ROOT,
    changed,
    embedder_of,
    environment,
    free_port,
    make_plan,
    make_table,
)
from tests.migration.versioned_view.conftest import rows
from tests.stand_ins import front
from tests.stand_ins.own_app import CHECK, PROGRAM, places

QUESTIONS = ["wool and fish", "a quiet place", "coffee", "train", "books and toys"]
SCRIPT = """#!/bin/sh
# The column is always the same one. A revision is started beside the others, and gets the traffic
# once it answers; which one an app finds is a matter of its search_path.
set -e
port=$("{python}" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); \\
print(s.getsockname()[1])')
MODEL="$EMBEDDING_MODEL" VECTOR_COLUMN=embedding SEARCH_PATH="$RAGKIT_SCHEMA,public" \\
    {settings} "{python}" "{program}" $port > "{folder}/$port.log" 2>&1 &
echo $! >> "{folder}/pids"
until "{python}" -c "import httpx; httpx.get('http://127.0.0.1:$port/login')" 2> /dev/null; do
    sleep 0.2
done
echo $port > "{folder}/new port" && mv "{folder}/new port" "{folder}/port"
"""
STOP = """#!/bin/sh
for pid in $(cat "{folder}/pids"); do kill $pid 2> /dev/null || true; done
"""


class Site:
    """The table, the app behind its address, and a probe."""

    def __init__(self, folder: Path, engine: sa.Engine, database: sa.URL, port: int, **changes):
        self.folder, self.engine, self.url = folder, engine, f"http://127.0.0.1:{port}"
        settings = {
            "PGUSER": database.username, "PGDATABASE": database.database,
            "PG_SOCKET": database.query["unix_sock"],
        }  # fmt: skip
        names = {"python": PYTHON, "program": PROGRAM, "folder": folder}
        names["settings"] = " ".join(f'{name}="{value}"' for name, value in settings.items())
        for name, text in (("deploy.sh", SCRIPT), ("stop.sh", STOP)):
            (folder / name).write_text(text.format(**names))
            (folder / name).chmod(0o700)
        script = f"'{folder / 'deploy.sh'}'"
        changes = {
            "app.url": self.url, "app.target": "command", "app.deploy": script,
            "app.roll_back": script, "app.smoke_question": QUESTIONS[0],
            "app.command_seconds": 60.0, "database.expect": describe(engine.url),
            "gates.override": "an app of thirty rows has no judgements", **changes,
        }  # fmt: skip
        self.plan = changed(make_plan(CHECK), changes)
        self.params = folder / "own.yaml"
        self.params.write_text(dump_yaml(self.plan.model_dump(by_alias=True)))
        self.answers: list[tuple[str, list[int] | None]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def deploy(self):
        env = environment(EMBEDDING_MODEL=OLD, RAGKIT_SCHEMA="public")
        subprocess.run([self.folder / "deploy.sh"], env=env, check=True, timeout=60)

    def ragkit(self, *words):
        done = subprocess.run(
            [PYTHON, "-m", "ragkit", words[0], "--params", self.params, *words[1:]], cwd=ROOT,
            env=environment(DATABASE_URL=self.engine.url.render_as_string()), check=False,
            capture_output=True, text=True, timeout=240,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def serving(self):
        return next(m for m in (OLD, NEW) if f"serving: {m}" in self.ragkit("status"))

    def expected(self, model, column):
        """The keys of the nearest rows by question."""
        query = f'select id from "Amenities" order by {column} <=> cast(:v as vector) limit 3'
        found = {}
        for question in QUESTIONS:
            vector = str(list(map(float, embedder_of(model).embed_query(question))))
            found[question] = [key for (key,) in rows(self.engine, query, v=vector)]
        return found

    def watch(self):
        self._thread.start()

    def _ask(self):
        number = 0
        while not self._stop.wait(0.08):
            number += 1
            question, keys = QUESTIONS[number % len(QUESTIONS)], None
            with suppress(httpx.HTTPError, ValueError, KeyError):
                answer = httpx.get(f"{self.url}/search", params={"q": question, "n": 3}, timeout=10)
                keys = [hit["doc"]["id"] for hit in answer.json()["data"]["hits"]]
            self.answers.append((question, keys))

    def failed(self):
        return sum(keys is None for _, keys in self.answers)

    def mixed(self, old, new):
        """Answers that are neither model's."""
        return [(q, keys) for q, keys in self.answers if keys and keys not in (old[q], new[q])]

    def end(self):
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for pid in (self.folder / "pids").read_text().split():
            with suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGTERM)


@pytest.fixture
def make_site(tmp_path, engine, database):
    port_file, sites = tmp_path / "port", []
    port_file.write_text(str(free_port()))
    with front.serving(port_file) as port:

        def make(**changes):
            changes = {name.replace("__", "."): value for name, value in changes.items()}
            site = Site(tmp_path, engine, database, port, **changes)
            make_table(engine, site.plan, places())
            site.deploy()
            site.watch()
            sites.append(site)
            return site

        yield make
        for site in sites:
            site.end()


def columns(engine):
    return {column["name"] for column in sa.inspect(engine).get_columns("Amenities")}


@pytest.mark.timeout(500)
def test_by_a_view_no_answer_fails_and_none_is_mixed(make_site, engine, tmp_path):
    """Before, during and after the cut-over, the rollback and the retirement."""
    site = make_site(app__way="view")
    old = site.expected(OLD, "embedding")
    said = site.ragkit("run", "--runs", tmp_path / "runs")
    assert (
        "RAGKIT_SCHEMA=ragkit_v2 RAGKIT_TABLE=ragkit_v2.Amenities" in said or site.serving() == NEW
    )
    new = site.expected(NEW, '"new vector"')
    assert old != new
    assert site.serving() == NEW
    site.ragkit("rollback")
    assert site.serving() == OLD
    said = site.ragkit("cutover")
    assert "RAGKIT_COLUMN=embedding RAGKIT_TABLE=ragkit_v2.Amenities" in said
    assert "options=-csearch_path=ragkit_v2,public" in said
    mark = len(site.answers)
    assert site.serving() == NEW
    assert "is dropped" in site.ragkit("retire", "--set", "old.retire=true")
    time.sleep(1.0)
    assert site.serving() == NEW
    site.end()
    assert "ragkit_v2" not in sa.inspect(engine).get_schema_names()
    assert columns(engine) == {"id", "name", "description", "content", "embedding"}
    assert site.expected(NEW, "embedding") == new
    assert (site.failed(), site.mixed(old, new)) == (0, [])
    assert len(site.answers) > 100
    late = [(q, keys) for q, keys in site.answers[mark:] if keys != new[q]]
    assert late == []


@pytest.mark.timeout(500)
def test_by_a_swap_requests_fail_in_its_window_only_and_none_is_mixed(make_site, engine, tmp_path):
    site = make_site(app__way="swap", app__stop=str(tmp_path / "stop.sh"))
    old = site.expected(OLD, "embedding")
    site.ragkit("backfill")
    new = site.expected(NEW, '"new vector"')
    assert site.failed() == 0
    start = len(site.answers)
    said = site.ragkit("cutover")
    assert "stop it, swap, and start it with EMBEDDING_MODEL" in said
    assert site.serving() == NEW
    assert {"embedding", "embedding_old"} <= columns(engine)
    [window] = windows(engine, "cut over")
    during = site.answers[start:]
    assert 0 < window < 60
    assert 0 < site.failed() < len(during)
    site.ragkit("rollback")
    assert site.serving() == OLD
    assert "new vector" in columns(engine)
    site.ragkit("cutover", "--set", "app.stop=")  # its old process goes on, and fails
    assert site.serving() == NEW
    assert "is dropped" in site.ragkit("retire", "--set", "old.retire=true")
    assert site.serving() == NEW
    before = site.failed()
    time.sleep(1.0)
    site.end()
    assert (site.failed(), site.mixed(old, new)) == (before, [])
    assert columns(engine) == {"id", "name", "description", "content", "embedding"}
    assert len(windows(engine, "cut over")) == 2


def windows(engine, kind):
    query = "select detail ->> 'window_seconds' from ragkit.event where kind = :kind"
    return [float(seconds) for (seconds,) in rows(engine, query, kind=kind)]
