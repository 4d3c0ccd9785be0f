"""The probe against a server that fails on purpose: its figures show every failure."""

import asyncio
import json
import subprocess
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler

import httpx
import pandas as pd
import pytest

from ragkit.deploy import probe
from ragkit.deploy.own_app.check import Check
from ragkit.report import pictures
from tests.conftest import PYTHON, environment
from tests.stand_ins import http_server


class FailingApp(BaseHTTPRequestHandler):
    """Slow for one request in the middle, then broken for three requests."""

    count, protocol_version = 0, "HTTP/1.1"
    stall_at, stall_seconds, broken = 8, 0.5, range(14, 17)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        number, FailingApp.count = FailingApp.count, FailingApp.count + 1
        if number == self.stall_at:
            time.sleep(self.stall_seconds)
        body = b'{"error":"x"}' if number in self.broken else b'{"results":[1]}'
        self.send_response(503 if number in self.broken else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Embedding-Model", "old")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def url():
    FailingApp.count = 0
    with http_server.serving(FailingApp) as address:
        yield address


def run_probe(url, log, seconds, rate=20.0):
    """The probe's log after `seconds`."""

    async def probe_until_timeout():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(probe.run(url, ["coffee"], log, rate), seconds)

    asyncio.run(probe_until_timeout())
    return probe.read(log)


def test_the_summary_counts_every_request_and_every_failure(url, tmp_path):
    requests = run_probe(url, tmp_path / "log", 1.5)
    summary = probe.summary(requests)
    assert 25 <= summary.requests <= 31
    assert summary.failed == 3
    assert set(requests["error"].dropna()) == {"status 503"}
    assert requests["ms"].max() >= 500
    assert summary.p50_ms < 100
    assert summary.longest_gap_ms >= 150  # three failures in a row at 20 requests a second


def test_without_a_server_every_request_fails(tmp_path):
    requests = run_probe("http://127.0.0.1:9", tmp_path / "log", 0.5)
    summary = probe.summary(requests)
    assert summary.failed == summary.requests > 5
    assert set(requests["error"]) == {"ConnectError"}


def test_an_incomplete_line_of_a_killed_probe_is_ignored(url, tmp_path):
    log = tmp_path / "log"
    complete = len(run_probe(url, log, 0.5))
    with log.open("a") as file:
        file.write('{"due": 1')
    assert len(probe.read(log)) == complete


def test_a_missing_log_has_no_requests(tmp_path):
    assert probe.summary(probe.read(tmp_path / "none")).requests == 0


@pytest.fixture
def questions(tmp_path):
    file = tmp_path / "q.jsonl"
    file.write_text(json.dumps({"_id": "1", "text": "tea"}) + "\n")
    return file


def wait_for_requests(log, count=5):
    deadline = time.monotonic() + 20
    while len(probe.read(log)) < count and time.monotonic() < deadline:
        time.sleep(0.1)


def test_the_probe_process_ends_on_sigterm_and_leaves_its_log(url, questions, tmp_path):
    log = tmp_path / "log"
    process = subprocess.Popen(
        [PYTHON, "-m", "ragkit.deploy.probe", url, questions, log, "20"],
        env=environment(), cwd=tmp_path,
    )  # fmt: skip
    wait_for_requests(log)
    process.terminate()
    assert process.wait(10) == 0
    assert len(probe.read(log)) >= 5


def test_the_probe_ends_when_its_parent_is_killed(url, questions, tmp_path):
    log = tmp_path / "log"
    script = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-m', 'ragkit.deploy.probe', *sys.argv[1:]]); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen([PYTHON, "-c", script, url, questions, log, "20"], env=environment())
    wait_for_requests(log)
    parent.kill()
    parent.wait()
    time.sleep(1.5)
    requests = len(probe.read(log))
    time.sleep(1)
    assert len(probe.read(log)) == requests >= 5


def test_the_timeline_shows_the_models_the_failures_and_the_phases(url, tmp_path):
    requests = run_probe(url, tmp_path / "log", 1.2)
    start = requests["due"].min()
    figure = pictures.timeline(
        requests, probe.summary(requests), [("fill", start, start + 1)], old_model="old"
    )
    assert "3 failed" in figure.get_suptitle()
    (legend,) = figure.legends
    assert {text.get_text() for text in legend.get_texts()} == {"served by old", "failed"}
    assert "fill" in [text.get_text() for text in figure.axes[0].texts]


def test_the_p95_of_each_model_is_of_its_good_answers(tmp_path):
    log = tmp_path / "log"
    rows = [
        ("old", 10.0, None),
        ("new", 30.0, None),
        ("new", 50.0, None),
        ("new", 9e3, "status 503"),
    ]
    lines = [
        {"due": due, "ms": ms, "status": 200, "model": model, "error": error}
        for due, (model, ms, error) in enumerate(rows)
    ]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert probe.p95_by_model(probe.read(log)) == {"old": 10.0, "new": 49.0}
    unnamed = [{**line, "model": None} for line in lines]
    log.write_text("".join(json.dumps(line) + "\n" for line in unnamed))
    assert probe.p95_by_model(probe.read(log)) == {}
    assert probe.p95_by_model(probe.read(tmp_path / "none")) == {}


CHECK = Check(
    method="GET", path="/find", body='{"q": "{question}"}', rows="hits", authorization_env="KEY"
)


class OtherApp(BaseHTTPRequestHandler):
    """Another route and another answer, for those who know the key."""

    def do_GET(self):
        asked, known = httpx.URL(self.path), self.headers.get("Authorization") == "canary-key"
        rows = ["a"] if asked.path == "/find" and dict(asked.params) == {"q": "tea"} else []
        body = json.dumps({"hits": rows} if known else {"error": "no"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("key", "error"), [("canary-key", None), ("wrong", "no results")])
def test_another_app_is_asked_as_the_check_says(questions, tmp_path, key, error):
    log = tmp_path / "log"
    with http_server.serving(OtherApp) as url:
        process = subprocess.Popen(
            [PYTHON, "-m", "ragkit.deploy.probe", url, questions, log, "20",
             json.dumps(asdict(CHECK))],
            env=environment(KEY=key), cwd=tmp_path,
        )  # fmt: skip
        wait_for_requests(log)
        process.terminate()
        assert process.wait(10) == 0
    requests = probe.read(log)
    assert len(requests) >= 5
    assert list(requests["error"].fillna("none").unique()) == [error or "none"]
    assert requests["model"].isna().all()
    assert "canary" not in log.read_text()


def test_the_timeline_shows_answers_that_name_no_model():
    requests = pd.DataFrame(
        {"due": [1.0, 2.0], "ms": [4.0, 5.0], "model": [None, None], "error": [None, "status 503"]}
    )
    figure = pictures.timeline(requests, probe.summary(requests), [], old_model="old")
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    assert names == ["answered", "failed"]
