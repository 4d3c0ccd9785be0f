"""The embedded server survives kills, repeated starts and lost folders."""

import shutil
import time

import sqlalchemy as sa

from ragkit.sandbox.folders import Folders
from ragkit.sandbox.postgres import Postgres


def test_start_and_stop_can_be_repeated(tmp_path):
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


def test_a_killed_server_starts_again_with_its_data(tmp_path):
    server = Postgres(Folders.at(tmp_path / "home"))
    try:
        server.start()
        server.create("survivor", owner="somebody")
        server.kill()
        deadline = time.monotonic() + 10
        while server.running() and time.monotonic() < deadline:
            time.sleep(0.05)
        server.start()
        with server.engine("somebody", "survivor").connect() as connection:
            query = "select extversion from pg_extension where extname = 'vector'"
            assert connection.scalar(sa.text(query))
    finally:
        server.remove()


def test_a_server_whose_folder_was_deleted_is_replaced(tmp_path):
    server = Postgres(Folders.at(tmp_path / "home"))
    try:
        server.start()
        shutil.rmtree(server._data)
        server.start()
        server.create("fresh", owner="somebody")
    finally:
        server.remove()


def test_the_server_has_no_tcp_port_and_only_its_owner_may_use_the_socket(server):
    assert server.engine().connect().scalar(sa.text("show listen_addresses")) == ""
    assert server._socket.stat().st_mode & 0o077 == 0
