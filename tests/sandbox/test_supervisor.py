import os
import pickle
import shutil
import socket
import stat

import pytest

from ragkit.sandbox.sandbox import Sandbox
from tests.conftest import free_port


def test_a_supervisor_whose_socket_was_deleted_is_replaced(tmp_path):
    sandbox = Sandbox(free_port(), tmp_path / "home")
    try:
        sandbox.app.up()
        (sandbox.folders.app_sockets / "supervisor.sock").unlink()
        sandbox.app.up()
        assert sandbox.app.serving() is None
        assert sandbox.app._ask("serving") is None
    finally:
        sandbox.remove()


def test_a_supervisor_whose_folder_was_deleted_can_be_stopped(tmp_path):
    sandbox = Sandbox(free_port(), tmp_path / "home")
    try:
        sandbox.app.up()
        shutil.rmtree(sandbox.folders.home)
        sandbox.app.down()
        with pytest.raises(ConnectionError):
            sandbox.app._ask("serving")
    finally:
        sandbox.remove()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory):
    sandbox = Sandbox(free_port(), tmp_path_factory.mktemp("controlled") / "home")
    sandbox.app.up()
    yield sandbox
    sandbox.remove()


class Evil:
    def __reduce__(self):
        return os.mkdir, (os.environ["EVIL"],)


@pytest.mark.parametrize(
    "line",
    [
        b"", b"\n", b"no json\n", b"7\n", b"[]\n", b'["stop", ""]\n', b'["__init__", "x"]\n',
        b'["_spawn", "x"]\n', b'{"verb": 1}\n', b"x" * 20_000,
    ],
)  # fmt: skip
def test_what_is_no_command_is_not_answered_and_ends_nothing(sandbox, line):
    assert say(sandbox, line) == b""
    assert sandbox.app._ask("pid").isdecimal()


def test_a_pickle_is_not_loaded(sandbox, tmp_path, monkeypatch):
    monkeypatch.setenv("EVIL", str(tmp_path / "evil"))
    payload = pickle.dumps(Evil())
    assert say(sandbox, len(payload).to_bytes(4, "big") + payload) == b""
    assert not (tmp_path / "evil").exists()


def test_a_caller_that_says_nothing_is_not_waited_for_without_end(sandbox):
    with socket.socket(socket.AF_UNIX) as silent:
        silent.connect(str(sandbox.folders.app_sockets / "supervisor.sock"))
        assert sandbox.app._ask("pid").isdecimal()


def test_the_socket_lies_in_a_folder_that_is_its_owners_alone(sandbox):
    folder = sandbox.folders.app_sockets
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert folder.stat().st_uid == os.getuid()
    assert (folder / "supervisor.sock").exists()


def say(sandbox, line):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(sandbox.folders.app_sockets / "supervisor.sock"))
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        try:
            return connection.recv(1000)
        except ConnectionResetError:
            return b""
