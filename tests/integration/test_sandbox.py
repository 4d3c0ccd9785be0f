"""The embedded default: a server that survives what happens to it, an app that loses nothing."""

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

from ragkit.errors import DeployError, SandboxError
from ragkit.sandbox.app import LocalApp
from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres
from ragkit.sandbox.stand_in import DATA, Sandbox, amenities, sample_rows
from tests.conftest import free_port

DAYS = ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"]
JSS_COLUMNS = [
    *("id", "name", "description", "location", "terminal", "category", "hour"),
    *(f"{day}_{edge}_hour" for day in DAYS for edge in ("start", "end")),
    *("content", "embedding"),
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    box = Sandbox(free_port(), tmp_path_factory.mktemp("sand box") / "home")
    box.up()
    box.restore()
    yield box
    box.remove()


@pytest.fixture(scope="module")
def app(sandbox):
    sandbox.app.promote(sandbox.app.stage("wordllama-256"))
    return sandbox.app


class TestPostgres:
    def test_starts_twice_and_stops_twice(self, tmp_path):
        server = Postgres(Folders.at(tmp_path / "home"))
        try:
            server.start()
            server.start()
            assert server.running()
            server.stop()
            server.stop()
            assert not server.running()
        finally:
            server.remove()

    def test_comes_back_after_kill_9_with_its_data(self, tmp_path):
        server = Postgres(Folders.at(tmp_path / "home"))
        try:
            server.start()
            server.create("kept", owner="somebody")
            server.kill()
            deadline = time.monotonic() + 10
            while server.running() and time.monotonic() < deadline:
                time.sleep(0.05)
            server.start()
            with server.engine("somebody", "kept").connect() as connection:
                assert connection.scalar(sa.text("select extversion from pg_extension "
                                                 "where extname = 'vector'"))  # fmt: skip
        finally:
            server.remove()

    def test_a_server_whose_folder_was_deleted_is_replaced(self, tmp_path):
        server = Postgres(Folders.at(tmp_path / "home"))
        try:
            server.start()
            shutil.rmtree(server._data)
            server.start()
            server.create("fresh", owner="somebody")
        finally:
            server.remove()

    def test_nothing_listens_on_tcp_and_the_socket_is_closed_to_others(self, server):
        assert server.engine().connect().scalar(sa.text("show listen_addresses")) == ""
        assert server._socket.stat().st_mode & 0o077 == 0

    def test_a_folder_that_cannot_be_made(self, tmp_path):
        (tmp_path / "file").write_text("in the way")
        with pytest.raises(SandboxError, match="cannot write"):
            Folders.at(tmp_path / "file" / "home")


class TestStandIn:
    def test_the_table_has_exactly_the_columns_of_the_solution(self, sandbox):
        found = sa.inspect(sandbox.engine()).get_columns("amenities")
        assert [column["name"] for column in found] == JSS_COLUMNS
        assert {c["name"]: str(c["type"]) for c in found}["embedding"] == "VECTOR(256)"
        assert [c.name for c in amenities(256).columns] == JSS_COLUMNS

    def test_every_row_has_a_vector(self, sandbox):
        with sandbox.engine().connect() as connection:
            query = sa.text("select count(*), count(embedding) from amenities")
            assert connection.execute(query).one() == (260, 260)

    def test_the_sample_is_as_it_says(self):
        rows = sample_rows()
        assert len(rows) >= 240
        assert all(r["content"].startswith(f"{r['name']} is a {r['category']}.") for r in rows)
        assert "1548" in (DATA / "README.md").read_text()

    def test_the_role_owns_its_table_and_is_no_superuser(self, sandbox):
        with sandbox.engine().connect() as connection:
            query = sa.text(
                "select current_user, usesuper from pg_user where usename = current_user"
            )
            assert connection.execute(query).one() == ("retrieval-service", False)


class TestApp:
    def test_it_answers(self, app):
        with app.client() as client:
            answer = client.post("/", json={"name": "restaurants"})
        assert answer.status_code == 200
        assert [set(row) for row in answer.json()["results"]] == [{"name", "description"}] * 3

    def test_a_staged_revision_has_its_own_address_and_no_traffic(self, app):
        serving = app.serving()
        staged = app.stage("wordllama-256")
        with app.client(staged) as client:
            assert client.get("/healthz").status_code == 200
        assert app.serving() == serving
        app.discard(staged)
        with pytest.raises(httpx.TransportError), app.client(staged) as client:
            client.get("/healthz")

    def test_a_revision_that_does_not_start_changes_nothing(self, app):
        serving = app.serving()
        broken = app.stage("wordllama-256")
        app.discard(broken)
        shutil.rmtree(app._folder(broken) / "ragkit")  # the vendored copy: there is no other
        with pytest.raises(DeployError, match=r"app\.log"):
            app.promote(broken)
        assert "No module named 'ragkit'" in (app._folder(broken) / "app.log").read_text()
        assert app.serving() == serving
        with app.client() as client:
            assert client.get("/healthz").status_code == 200

    def test_redeploying_under_traffic_loses_no_request(self, app):
        statuses, stop = [], threading.Event()

        def ask():
            with httpx.Client(base_url=app.url, timeout=30) as client:
                while not stop.is_set():
                    statuses.append(client.post("/", json={"name": "coffee"}).status_code)

        threads = [threading.Thread(target=ask) for _ in range(4)]
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

    def test_a_revision_that_is_killed_is_started_again(self, app):
        masters = subprocess.run(
            ["pgrep", "-f", f"{app._sockets}/.*-live.sock"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
        for pid in masters:
            os.kill(int(pid), signal.SIGKILL)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                if httpx.get(f"{app.url}/healthz", timeout=5).status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.1)
        pytest.fail("the app did not come back")

    def test_a_taken_port_is_told(self, sandbox, tmp_path):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            other = LocalApp(Folders.at(tmp_path / "other"), port, {})
            with pytest.raises(SandboxError, match=f"port {port} is taken.*app_port"):
                other.up()

    def test_without_a_front_a_deploy_says_so(self, tmp_path):
        app = LocalApp(Folders.at(tmp_path / "none"), free_port(), {})
        assert app.serving() is None
        with pytest.raises(DeployError, match="not up"):
            app.stage("wordllama-256")


def test_a_front_whose_socket_was_lost_is_replaced(tmp_path):
    box = Sandbox(free_port(), tmp_path / "lost")
    try:
        box.app.up()
        (box.folders.sockets / "front.sock").unlink()
        box.app.up()
        assert box.app.serving() is None
        assert box.app._ask("serving") is not Ellipsis
    finally:
        box.remove()


def test_a_front_is_ended_though_its_home_was_deleted(tmp_path):
    box = Sandbox(free_port(), tmp_path / "homeless")
    try:
        box.app.up()
        shutil.rmtree(box.folders.home)
        box.app.down()
        assert box.app._ask("serving") is Ellipsis
    finally:
        box.remove()


def test_a_deleted_folder_is_no_serving_revision(tmp_path):
    box = Sandbox(free_port(), tmp_path / "deleted")
    try:
        box.up()
        box.restore()
        revision = box.app.stage("wordllama-256")
        box.app.promote(revision)
        shutil.rmtree(box.app._folder(revision))
        assert box.app.serving() is None
        again = box.app.stage("wordllama-256")
        box.app.promote(again)
        assert box.app.serving() == again
    finally:
        box.remove()


def test_down_and_up_again(tmp_path):
    box = Sandbox(free_port(), Path(tmp_path) / "again")
    try:
        for _ in range(2):
            box.up()
            assert box.postgres.running()
            box.down()
            assert not box.postgres.running()
            assert box.app.serving() is None
    finally:
        box.remove()
    assert not (tmp_path / "again").exists()
