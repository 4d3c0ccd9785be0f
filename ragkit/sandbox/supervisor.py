"""The process that holds the app's listening socket while revisions come and go behind it.

    python -m ragkit.sandbox.supervisor SOCKET_FOLDER PORT

Every revision that has traffic accepts from the same socket, so that a connection in the queue is
answered by the old or the new revision and never reset. Commands come over a unix socket, one line
of JSON each: [verb, revision's folder] in, a text or null out.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

CONFIG = Path(__file__).with_name("gunicorn_conf.py")
APPLICATION = "functions_framework:create_app(target='hello_http', source='main.py')"
READY_SECONDS = 60
CRASH_PAUSE = 0.5
CALLER_SECONDS, MAX_COMMAND_BYTES = 5, 10_000
Verbs = Mapping[str, Callable[[str], str | None]]


class Supervisor:
    """Each public method is a command. `source` is a revision's folder; an error is a text."""

    def __init__(self, folder: Path, port: int):
        self._folder = folder
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", port))
        self._listening.listen(512)
        self._staged: dict[str, subprocess.Popen[bytes]] = {}
        self._serving: tuple[str, subprocess.Popen[bytes]] | None = None
        self._lock = threading.Lock()

    def start(self, source: str) -> str | None:
        """Starts a revision without traffic, at a unix socket of its own."""
        self.discard(source)
        process = self._spawn(source, with_traffic=False)
        if error := self._wait(process, source):
            return error
        self._staged[source] = process
        return None

    def promote(self, source: str) -> str | None:
        """Gives a revision all traffic; the previous one finishes its requests and stops."""
        with self._lock:
            process = self._spawn(source, with_traffic=True)
            if error := self._wait(process, source):
                return error
            before, self._serving = self._serving, (source, process)
        self.discard(source)
        if before:
            _end(before[1])
        return None

    def discard(self, source: str) -> str | None:
        if process := self._staged.pop(source, None):
            _end(process)
        return None

    def serving(self, _: str) -> str | None:
        return self._serving[0] if self._serving else None

    def pid(self, _: str) -> str:
        return str(os.getpid())

    def keep_alive(self) -> None:
        """Restarts the serving revision when it dies."""
        while True:
            time.sleep(CRASH_PAUSE)
            with self._lock:
                if self._serving and self._serving[1].poll() is not None:
                    source = self._serving[0]
                    self._serving = (source, self._spawn(source, with_traffic=True))

    def stop(self) -> None:
        processes = [*self._staged.values(), *([self._serving[1]] if self._serving else [])]
        self._serving = None
        for process in processes:
            _end(process)

    def _spawn(self, source: str, *, with_traffic: bool) -> subprocess.Popen[bytes]:
        """With the revision's own settings only: this checkout is not on its path."""
        folder = Path(source)
        ready, number = folder / "ready", self._listening.fileno()
        ready.unlink(missing_ok=True)
        binds = [f"unix:{self._folder / folder.name}{'-live' if with_traffic else ''}.sock"]
        if with_traffic:
            binds.append(f"fd://{number}")
        settings = json.loads((folder / "env.json").read_text())
        with (folder / "app.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "gunicorn", "-c", str(CONFIG), APPLICATION]
                + [word for bind in binds for word in ("-b", bind)],
                cwd=folder,
                env={"PATH": os.environ.get("PATH", ""), "READY_FILE": str(ready), **settings},
                pass_fds=(number,) if with_traffic else (),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 (takes no lock)
            )

    def _wait(self, process: subprocess.Popen[bytes], source: str) -> str | None:
        ready, deadline = Path(source) / "ready", time.monotonic() + READY_SECONDS
        while time.monotonic() < deadline:
            if ready.exists():
                return None
            if process.poll() is not None:
                return f"it ended with exit {process.returncode}; its log: {source}/app.log"
            time.sleep(0.05)
        _end(process)
        return f"it was not ready in {READY_SECONDS} s; its log: {source}/app.log"


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _die_with_parent() -> None:
    """Linux: a killed supervisor takes its revisions along, so that the port is free again."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def main(folder: Path, port: int) -> None:
    supervisor = Supervisor(folder, port)
    threading.Thread(target=supervisor.keep_alive, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    address = folder / "supervisor.sock"
    address.unlink(missing_ok=True)
    verbs = {
        "start": supervisor.start, "promote": supervisor.promote, "discard": supervisor.discard,
        "serving": supervisor.serving, "pid": supervisor.pid,
    }  # fmt: skip
    try:
        with socket.socket(socket.AF_UNIX) as commands:
            commands.bind(str(address))
            commands.listen()
            while True:
                caller, _ = commands.accept()
                with caller, suppress(OSError):  # the caller was killed
                    answer(caller, verbs)
    finally:
        supervisor.stop()


def answer(caller: socket.socket, verbs: Verbs) -> None:
    """One command; a line that is none is not answered."""
    caller.settimeout(CALLER_SECONDS)
    with caller.makefile("rwb") as line:
        try:
            verb, source = json.loads(line.readline(MAX_COMMAND_BYTES))
            command = verbs[verb]
        except (ValueError, KeyError, TypeError):
            return
        line.write(json.dumps(command(str(source))).encode() + b"\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
