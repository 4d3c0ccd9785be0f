"""The probe against a server that fails on purpose: what went wrong must show in its figures."""

import asyncio
import json
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ragkit.app import probe
from ragkit.view import pictures
from tests.conftest import PYTHON, environment


class Answers(BaseHTTPRequestHandler):
    """Slow for half a second in the middle, then broken for three requests."""

    count, protocol_version = 0, "HTTP/1.1"
    stall_at, broken = 8, range(14, 17)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        number, Answers.count = Answers.count, Answers.count + 1
        if number == self.stall_at:
            time.sleep(0.5)
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
    Answers.count = 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def watch(url, log, seconds, rate=20.0):
    async def main():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(probe.run(url, ["coffee"], log, rate), seconds)

    asyncio.run(main())
    return probe.read(log)


def test_every_request_is_counted_and_every_failure_told(url, tmp_path):
    requests = watch(url, tmp_path / "log", 1.5)
    found = probe.summary(requests)
    assert 25 <= found.requests <= 31
    assert found.failed == 3
    assert set(requests["error"].dropna()) == {"status 503"}
    assert requests["ms"].max() >= 500
    assert found.p50_ms < 100
    assert found.longest_gap_ms >= 150  # three broken ones in a row at 20 a second


def test_no_server_is_all_failures(tmp_path):
    requests = watch("http://127.0.0.1:9", tmp_path / "log", 0.5)
    found = probe.summary(requests)
    assert found.failed == found.requests > 5
    assert set(requests["error"]) == {"ConnectError"}


def test_a_killed_probes_torn_line_is_left_out(url, tmp_path):
    log = tmp_path / "log"
    before = len(watch(url, log, 0.5))
    with log.open("a") as file:
        file.write('{"due": 1')
    assert len(probe.read(log)) == before


def test_an_empty_log(tmp_path):
    assert probe.summary(probe.read(tmp_path / "none")).requests == 0


def test_as_a_process_it_ends_on_sigterm_with_its_answers(url, tmp_path):
    (tmp_path / "q.jsonl").write_text(json.dumps({"_id": "1", "text": "tea"}) + "\n")
    process = subprocess.Popen(
        [PYTHON, "-m", "ragkit.app.probe", url, tmp_path / "q.jsonl", tmp_path / "l", "20"],
        env=environment(), cwd=tmp_path,
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while len(probe.read(tmp_path / "l")) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    assert process.wait(10) == 0
    assert len(probe.read(tmp_path / "l")) >= 5


def test_it_ends_with_the_run_that_started_it(url, tmp_path):
    (tmp_path / "q.jsonl").write_text(json.dumps({"_id": "1", "text": "tea"}) + "\n")
    script = (
        "import subprocess, sys, time; "
        "subprocess.Popen([sys.executable, '-m', 'ragkit.app.probe', *sys.argv[1:]]); "
        "time.sleep(60)"
    )
    parent = subprocess.Popen(
        [PYTHON, "-c", script, url, tmp_path / "q.jsonl", tmp_path / "l", "20"], env=environment()
    )
    deadline = time.monotonic() + 20
    while len(probe.read(tmp_path / "l")) < 5 and time.monotonic() < deadline:
        time.sleep(0.1)
    parent.kill()
    parent.wait()
    time.sleep(1.5)
    before = len(probe.read(tmp_path / "l"))
    time.sleep(1)
    assert len(probe.read(tmp_path / "l")) == before >= 5


def test_its_timeline_says_what_happened(url, tmp_path):
    requests = watch(url, tmp_path / "log", 1.2)
    start = requests["due"].min()
    figure = pictures.timeline(
        requests, probe.summary(requests), [("fill", start, start + 1)], old="old"
    )
    axes = figure.axes[0]
    assert "3 failed" in axes.get_title()
    assert {t.get_text() for t in axes.get_legend().get_texts()} == {"served by old", "failed"}
    assert "fill" in [text.get_text() for text in axes.texts]


def test_the_recent_p95_is_of_the_last_seconds(tmp_path):
    log, now = tmp_path / "log", time.time()
    lines = [{"due": now - 60 + n, "ms": 1000.0 if n < 50 else 10.0} for n in range(60)]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"torn')
    assert probe.recent_p95(log, seconds=8) == 10.0
    assert probe.recent_p95(log, seconds=0.0) == 0.0
