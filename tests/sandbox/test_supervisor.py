import shutil

from ragkit.sandbox.sandbox import Sandbox
from tests.conftest import free_port


def test_a_supervisor_whose_socket_was_deleted_is_replaced(tmp_path):
    sandbox = Sandbox(free_port(), tmp_path / "home")
    try:
        sandbox.app.up()
        (sandbox.folders.sockets / "supervisor.sock").unlink()
        sandbox.app.up()
        assert sandbox.app.serving() is None
        assert sandbox.app._send("serving") is not Ellipsis
    finally:
        sandbox.remove()


def test_a_supervisor_whose_folder_was_deleted_can_be_stopped(tmp_path):
    sandbox = Sandbox(free_port(), tmp_path / "home")
    try:
        sandbox.app.up()
        shutil.rmtree(sandbox.folders.home)
        sandbox.app.down()
        assert sandbox.app._send("serving") is Ellipsis
    finally:
        sandbox.remove()
