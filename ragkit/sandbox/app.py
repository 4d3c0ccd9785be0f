"""The sample application on this machine: the real function under functions-framework."""

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from multiprocessing.connection import Client
from pathlib import Path

import httpx
import psutil

from ragkit.app import Revision
from ragkit.app.vendor import PACKAGE, build
from ragkit.errors import DeployError, SandboxError
from ragkit.sandbox.folders import Folders

START_SECONDS = 20


class LocalApp:
    """An App (see ragkit.app) whose revisions are folders and whose traffic is one port."""

    def __init__(self, folders: Folders, port: int, settings: Mapping[str, str]):
        self._sockets = folders.sockets
        self._home = folders.home / "app"
        self._port, self._settings = port, dict(settings)
        self.url = f"http://127.0.0.1:{port}"

    def up(self) -> None:
        """The front, without a revision yet. Raises SandboxError when the port is taken."""
        if self._ask("serving") is not Ellipsis:
            return
        self.down()  # one whose socket was lost, say to a cleaner of temporary files
        self._home.mkdir(exist_ok=True)
        self._refuse_taken_port()
        with (self._home / "front.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "ragkit.sandbox.front", str(self._sockets), str(self._port)],
                cwd=PACKAGE.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # outlives the notebook that started it
            )
        (self._home / "front.pid").write_text(str(process.pid))
        deadline = time.monotonic() + START_SECONDS
        while self._ask("serving") is Ellipsis:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SandboxError(f"the app's front did not start; see {self._home}/front.log")
            time.sleep(0.05)

    def down(self) -> None:
        """Ends the front and all revisions."""
        answered = self._ask("pid")
        try:
            known = answered if answered is not Ellipsis else (self._home / "front.pid").read_text()
            front = psutil.Process(int(known))
            if str(self._sockets) in front.cmdline():  # and not another program by that number
                front.terminate()
                front.wait(START_SECONDS)
        except (FileNotFoundError, psutil.NoSuchProcess, psutil.ZombieProcess):
            return

    def forget(self) -> None:
        """Removes all revisions that have no traffic."""
        serving = self.serving()
        for revision in self.revisions():
            if revision != serving:
                shutil.rmtree(self._folder(revision))

    def serving(self) -> Revision | None:
        source = self._ask("serving")
        if not isinstance(source, str) or not (Path(source) / "env.json").exists():
            return None  # no front, no traffic yet, or a folder that was deleted under it
        return self._revision(Path(source))

    def revisions(self) -> list[Revision]:
        return [self._revision(env.parent) for env in sorted(self._home.glob("*/env.json"))]

    def stage(self, model: str) -> Revision:
        last = self.revisions()[-1:]
        number = int(last[0].name.rpartition("-")[2]) + 1 if last else 1
        folder = self._home / f"rev-{number:04d}"
        shutil.rmtree(folder, ignore_errors=True)  # left by a build that was killed
        build(folder)
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
        """A revision here gets no traffic but by promote."""

    def client(self, revision: Revision | None = None) -> httpx.Client:
        transport = None
        if revision:
            transport = httpx.HTTPTransport(uds=str(self._sockets / f"{revision.name}.sock"))
        return httpx.Client(base_url=self.url, transport=transport, timeout=30)

    def _command(self, verb: str, revision: Revision) -> None:
        error = self._ask(verb, str(self._folder(revision)))
        if error is Ellipsis:
            raise DeployError("the sandbox's app is not up: run the sandbox notebook (make lab)")
        if error:
            raise DeployError(f"{revision.name} ({revision.model}) cannot {verb}: {error}")

    def _ask(self, verb: str, source: str = "") -> object:
        """The front's answer; Ellipsis when there is no front."""
        try:
            with Client(str(self._sockets / "front.sock"), "AF_UNIX") as front:
                front.send((verb, source))
                return front.recv()
        except (OSError, EOFError):
            return Ellipsis

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
                    f"port {self._port} is taken by another program: stop it, or set app_port"
                ) from None
