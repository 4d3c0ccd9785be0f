"""The sample application on this machine: the real function under functions-framework."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import httpx
import psutil

from ragkit.checkout import PACKAGE
from ragkit.deploy.app import Revision
from ragkit.deploy.by_revision import RevisionedApp
from ragkit.deploy.vendor import build_source
from ragkit.errors import DeployError, SandboxError
from ragkit.sandbox.folders import Folders

MODULE = "ragkit.sandbox.supervisor"
START_SECONDS = 20
ANSWER_SECONDS = 100
"""More than the supervisor takes to start a revision and to stop another."""


class LocalApp(RevisionedApp):
    """An App whose revisions are folders and whose traffic is one port of this machine."""

    def __init__(self, folders: Folders, port: int, settings: Mapping[str, str]):
        self._sockets = folders.app_sockets
        self._home = folders.home / "app"
        self._port, self._settings = port, dict(settings)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def up(self) -> None:
        """Starts the supervisor, without a revision. Raises SandboxError when the port is taken."""
        if self._is_up():
            return
        self.down()  # its socket may be lost, for example to a cleaner of temporary files
        self._home.mkdir(exist_ok=True)
        self._refuse_taken_port()
        with (self._home / "supervisor.log").open("ab") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    MODULE,
                    str(self._sockets),
                    str(self._port),
                ],
                cwd=PACKAGE.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # outlives the notebook that started it
            )
        (self._home / "supervisor.pid").write_text(str(process.pid))
        deadline = time.monotonic() + START_SECONDS
        while not self._is_up():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(
                    f"the app's supervisor did not start; see {self._home}/supervisor.log"
                )
            time.sleep(0.05)

    def down(self) -> None:
        """Stops the supervisor and all revisions."""
        try:
            pid = self._ask("pid")
        except ConnectionError:
            pid = None
        try:
            supervisor = psutil.Process(int(pid or (self._home / "supervisor.pid").read_text()))
            if MODULE in supervisor.cmdline():  # not another program with that number
                supervisor.terminate()
                supervisor.wait(START_SECONDS)
        except (FileNotFoundError, psutil.NoSuchProcess, psutil.ZombieProcess):
            return

    def forget(self) -> None:
        """Deletes all revisions that have no traffic."""
        serving = self.serving()
        for revision in self.revisions():
            if revision != serving:
                shutil.rmtree(self._folder(revision))

    def serving(self) -> Revision | None:
        try:
            source = self._ask("serving")
        except ConnectionError:
            return None
        if source is None or not (Path(source) / "env.json").exists():
            return None  # no traffic yet, or its folder was deleted
        return self._revision(Path(source))

    def revisions(self) -> list[Revision]:
        return [self._revision(env.parent) for env in sorted(self._home.glob("*/env.json"))]

    def stage(self, model: str) -> Revision:
        last = self.revisions()[-1:]
        number = int(last[0].name.rpartition("-")[2]) + 1 if last else 1
        folder = self._home / f"rev-{number:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # left by a deployment that was killed
        build_source(folder)
        settings = {**self._settings, "EMBEDDING_MODEL": model}
        (folder / "env.json").write_text(json.dumps(settings))
        revision = self._revision(folder)
        self.start(revision)
        return revision

    def start(self, revision: Revision) -> None:
        self._command("start", revision)

    def promote(self, revision: Revision) -> None:
        self._command("promote", revision)

    def discard(self, revision: Revision) -> None:
        self._command("discard", revision)

    def commands(self, model: str) -> list[str]:
        return []

    def release(self) -> None:
        """Does nothing: a revision gets traffic by promote only."""

    def client(self, revision: Revision | None = None) -> httpx.Client:
        transport = None
        if revision:
            transport = httpx.HTTPTransport(uds=str(self._sockets / f"{revision.name}.sock"))
        return httpx.Client(base_url=self.url, transport=transport, timeout=30)

    def _command(self, verb: str, revision: Revision) -> None:
        try:
            error = self._ask(verb, str(self._folder(revision)))
        except ConnectionError:
            raise DeployError("the sandbox's app is not up: start it: ragkit sandbox up") from None
        if error:
            raise DeployError(f"{revision.name} ({revision.model}) cannot {verb}: {error}")

    def _is_up(self) -> bool:
        try:
            self._ask("pid")
        except ConnectionError:
            return False
        return True

    def _ask(self, verb: str, source: str = "") -> str | None:
        """The supervisor's answer. Raises ConnectionError when there is none."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_SECONDS)
            try:
                connection.connect(str(self._sockets / "supervisor.sock"))
                connection.sendall(json.dumps([verb, source]).encode() + b"\n")
                with connection.makefile("rb") as answer:
                    reply: str | None = json.loads(answer.readline())
            except (OSError, ValueError):
                raise ConnectionError("no supervisor answers") from None
        return reply

    def _folder(self, revision: Revision) -> Path:
        return self._home / revision.name

    @staticmethod
    def _revision(folder: Path) -> Revision:
        return Revision(
            folder.name, json.loads((folder / "env.json").read_text())["EMBEDDING_MODEL"]
        )

    def _refuse_taken_port(self) -> None:
        with socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind(("127.0.0.1", self._port))
            except OSError:
                raise SandboxError(
                    f"port {self._port} is taken by another program: stop it, or set app.port"
                ) from None
