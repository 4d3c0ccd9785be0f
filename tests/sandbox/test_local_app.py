"""The local app loses no request, and a revision that fails changes nothing."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time

import httpx
import pytest

from ragkit.errors import DeployError, SandboxError
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.local_app import LocalApp
from ragkit.sandbox.sandbox import Sandbox
from tests.conftest import free_port


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    """The app of a sandbox, with one revision that serves."""
    sandbox = Sandbox(free_port(), tmp_path_factory.mktemp("sand box") / "home")
    sandbox.up()
    sandbox.restore()
    sandbox.app.promote(sandbox.app.stage("wordllama-256"))
    yield sandbox.app
    sandbox.remove()


def test_the_app_answers_with_names_and_descriptions(app):
    with app.client() as client:
        answer = client.post("/", json={"name": "restaurants"})
    assert answer.status_code == 200
    assert [set(row) for row in answer.json()["results"]] == [{"name", "description"}] * 3


def test_a_staged_revision_has_its_own_address_and_no_traffic(app):
    serving = app.serving()
    staged = app.stage("wordllama-256")
    with app.client(staged) as client:
        assert client.get("/healthz").status_code == 200
    assert app.serving() == serving
    app.discard(staged)
    with pytest.raises(httpx.TransportError), app.client(staged) as client:
        client.get("/healthz")


def test_a_revision_that_does_not_start_changes_nothing(app):
    serving = app.serving()
    broken = app.stage("wordllama-256")
    app.discard(broken)
    shutil.rmtree(app._folder(broken) / "ragkit")  # the revision has no other copy of it
    with pytest.raises(DeployError, match=r"app\.log"):
        app.promote(broken)
    assert "No module named 'ragkit'" in (app._folder(broken) / "app.log").read_text()
    assert app.serving() == serving
    with app.client() as client:
        assert client.get("/healthz").status_code == 200


def test_a_change_of_revision_under_traffic_loses_no_request(app):
    statuses, stop = [], threading.Event()

    def send_requests():
        with httpx.Client(base_url=app.url, timeout=30) as client:
            while not stop.wait(0.02):
                statuses.append(client.post("/", json={"name": "coffee"}).status_code)

    threads = [threading.Thread(target=send_requests) for _ in range(4)]
    for thread in threads:
        thread.start()
    first = app.serving()
    for revision in (app.stage("wordllama-256"), first):
        app.promote(revision)
    stop.set()
    for thread in threads:
        thread.join()
    assert len(statuses) > 50
    assert set(statuses) == {200}
    assert app.serving() == first


def test_a_killed_revision_is_started_again(app):
    pgrep = ["pgrep", "-f", f"{app._sockets}/.*-live.sock"]
    for pid in subprocess.run(pgrep, check=True, capture_output=True, text=True).stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{app.url}/healthz", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("the app did not come back")


def test_a_port_in_use_is_an_error_that_names_it(tmp_path):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        other = LocalApp(Folders.at(tmp_path / "other"), port, {})
        with pytest.raises(SandboxError, match=f"port {port} is taken.*app.port"):
            other.up()


def test_a_deployment_without_a_supervisor_is_an_error(tmp_path):
    app = LocalApp(Folders.at(tmp_path / "none"), free_port(), {})
    assert app.serving() is None
    with pytest.raises(DeployError, match="not up"):
        app.stage("wordllama-256")
