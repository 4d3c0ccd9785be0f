"""An app that a script of the user's deploys, and rolls back: kubectl, docker compose, systemd.

The script is told by its environment what to deploy; the app's answers tell when it is done.
"""

import os
import shlex
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ragkit.checkout import ROOT
from ragkit.deploy.app import Revision, Test
from ragkit.deploy.own_app.asked import AskedApp, Recognise
from ragkit.deploy.own_app.check import Check
from ragkit.deploy.own_app.run_script import run_script
from ragkit.errors import AppNotRecognised, DeployError, RagkitError

POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Scripts:
    """`deploy` and `roll_back` are command lines, run without a shell in the checkout's folder.
    `settings`: by each of the two models, the variables that describe it to them. A script may
    take `seconds`, and so may the app until its answers are those of the other model. `stop`, if
    there is one, stops the app; `orders` say, by model, what else a person is to know."""

    deploy: str
    roll_back: str
    settings: Mapping[str, Mapping[str, str]]
    seconds: float = 600.0
    stop: str = ""
    orders: Mapping[str, str] = field(default_factory=dict)


class CommandApp(AskedApp):
    """An App. A deployment that fails is rolled back; a roll back that fails is not.
    `before_way_back` puts the database back first. It may raise a RagkitError."""

    def __init__(
        self, url: str, scripts: Scripts, check: Check | None = None,
        recognise: Recognise | None = None,
        before_way_back: Callable[[], object] | None = None,
    ):  # fmt: skip
        super().__init__(url, check, recognise)
        self._scripts, self._before_way_back = scripts, before_way_back

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """Runs the script for it, and waits until the app passes `test`."""
        name = "roll_back" if reuse else "deploy"
        try:
            self._run(name, model)
            answer = self._wait(test, f"app.{name} ended")
        except DeployError as error:
            if reuse:
                raise
            raise DeployError(f"{error}; {self._back_from(model)}") from None
        return Revision(self.url, model), answer

    def stop(self, model: str) -> bool:
        if not self._scripts.stop:
            return super().stop(model)
        self._run("stop", model)
        return True

    def commands(self, model: str) -> list[str]:
        """As the cut-over runs it."""
        order = self._scripts.orders.get(model)
        lines = [self._line(name, model) for name in ("stop", "deploy") if self._command(name)]
        return [f"# {order}", *lines] if order else lines

    def _line(self, name: str, model: str) -> str:
        settings = shlex.join(f"{k}={v}" for k, v in self._settings(name, model).items())
        return f"{settings} {shlex.join(shlex.split(self._command(name)))}"

    def _command(self, name: str) -> str:
        command: str = getattr(self._scripts, name)
        return command

    def _run(self, name: str, model: str) -> None:
        words = shlex.split(self._command(name))
        env = {**os.environ, **self._settings(name, model)}
        run_script(f"app.{name}", words, env, self._scripts.seconds, ROOT)

    def _settings(self, name: str, model: str) -> dict[str, str]:
        directions = {"deploy": "cut-over", "roll_back": "rollback"}
        direction = {"RAGKIT_DIRECTION": directions[name]} if name in directions else {}
        return {**self._scripts.settings[model], **direction}

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
            if self._before_way_back:
                if self._scripts.stop:
                    self._run("stop", previous)
                self._before_way_back()
            self._run("roll_back", previous)
            self._wait(test, "app.roll_back ended")
        except RagkitError as error:
            return f"and the way back failed: {error}; roll the app back by hand"
        return f"app.roll_back has put {previous} back"
