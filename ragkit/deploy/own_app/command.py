"""An app that a script of the user's deploys, and rolls back: kubectl, docker compose, systemd.

The script is told by its environment what to deploy; the app's answers tell when it is done.
"""

import os
import shlex
import time
from collections.abc import Mapping
from dataclasses import dataclass

from ragkit.checkout import ROOT
from ragkit.deploy.app import Revision, Test
from ragkit.deploy.own_app.asked import AskedApp, Recognise
from ragkit.deploy.own_app.check import Check
from ragkit.deploy.own_app.run_script import run_script
from ragkit.errors import AppNotRecognised, DeployError

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Scripts:
    """`deploy` and `roll_back` are command lines, run without a shell in the checkout's folder.
    `settings`: by each of the two models, the variables that describe it to them. A script may
    take `seconds`, and so may the app until its answers are those of the other model."""

    deploy: str
    roll_back: str
    settings: Mapping[str, Mapping[str, str]]
    seconds: float = 600.0


class CommandApp(AskedApp):
    """An App. A deployment that fails is rolled back; a roll back that fails is not."""

    def __init__(
        self, url: str, scripts: Scripts, check: Check | None = None,
        recognise: Recognise | None = None,
    ):  # fmt: skip
        super().__init__(url, check, recognise)
        self._scripts = scripts

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """Runs the script for it, and waits until the app passes `test`."""
        field = "roll_back" if reuse else "deploy"
        try:
            self._run(field, model)
            answer = self._wait(test, f"app.{field} ended")
        except DeployError as error:
            if reuse:
                raise
            raise DeployError(f"{error}; {self._back_from(model)}") from None
        return Revision(self.url, model), answer

    def commands(self, model: str) -> list[str]:
        """As the cut-over runs it."""
        settings = shlex.join(f"{k}={v}" for k, v in self._settings("deploy", model).items())
        return [f"{settings} {shlex.join(shlex.split(self._scripts.deploy))}"]

    def _run(self, field: str, model: str) -> None:
        words = shlex.split(getattr(self._scripts, field))
        env = {**os.environ, **self._settings(field, model)}
        run_script(f"app.{field}", words, env, self._scripts.seconds, ROOT)

    def _settings(self, field: str, model: str) -> dict[str, str]:
        direction = "rollback" if field == "roll_back" else "cut-over"
        return {**self._scripts.settings[model], "RAGKIT_DIRECTION": direction}

    def _wait(self, test: Test, since: str) -> str:
        """The answer to `test`, which an app that still restarts does not pass."""
        deadline = time.monotonic() + self._scripts.seconds
        while True:
            try:
                return test(None)
            except AppNotRecognised as error:
                if time.monotonic() + POLL_SECONDS > deadline:
                    raise DeployError(
                        f"{self._scripts.seconds:g} s after {since}: {error}"
                    ) from None
            time.sleep(POLL_SECONDS)

    def _back_from(self, model: str) -> str:
        """What became of the way back, for a message."""
        previous = next(known for known in self._scripts.settings if known != model)

        def test(_: Revision | None) -> str:
            serving = self.serving()
            if serving is None or serving.model != previous:
                raise AppNotRecognised(f"the app serves {serving.model if serving else 'nothing'}")
            return previous

        try:
            self._run("roll_back", previous)
            self._wait(test, "app.roll_back ended")
        except DeployError as error:
            return f"and the way back failed: {error}; roll the app back by hand"
        return f"app.roll_back has put {previous} back"
