"""An app of somebody else at an address: its own answers tell which model it serves."""

import json
import socket
from collections.abc import Callable, Collection

import httpx

from ragkit.deploy.app import Revision
from ragkit.deploy.own_app.check import Check
from ragkit.deploy.smoke_test import field_names, require_fields, require_model
from ragkit.errors import AppNotRecognised, DeployError

PORTS = {"http": 80, "https": 443}
STOP_SECONDS = 5.0
"""For a connection to an app that may be down."""
Ask = Callable[[str], list[str]]
"""From a question to what identifies the rows of the app's answer, best first."""
Recognise = Callable[[Ask], str]
"""From the app's answers to the model that made them. Raises AppNotRecognised."""


class AskedApp:
    """An App but for switch and commands. Without `recognise` the app is taken by its word: the
    field `model` of its /healthz."""

    def __init__(self, url: str, check: Check | None = None, recognise: Recognise | None = None):
        self.url = url
        self._check, self._recognise = check or Check(), recognise

    def serving(self) -> Revision | None:
        if not self.url:
            return None
        with self._check.client(self.url) as client:
            model = self._model(client)
        return Revision(self.url, model) if model else None

    def smoke_test(
        self,
        question: str,
        model: str,
        fields: Collection[str] = (),
        revision: Revision | None = None,
    ) -> str:
        with self._check.client(self.url) as client:
            if self._recognise is None:
                require_model(client, model)
            elif (served := self._model(client)) != model:
                raise AppNotRecognised(f"the app serves {served}, expected {model}")
            answer = self._check.ask(client, question)
        if not answer.rows:
            raise DeployError(f"the smoke test asked {question!r}: the app answered no row")
        require_fields(answer.rows, question, fields)
        return answer.text

    def fields(self, answer: str) -> set[str]:
        rows = self._check.find_rows(json.loads(answer))
        return set().union(*map(field_names, rows))

    def curl(self, question: str) -> str:
        return self._check.shell_line(self.url, question)

    def is_split(self) -> bool:
        return False

    def stop(self, model: str) -> bool:
        """Nothing is stopped from here: whether the app is down, which only a refused connection
        tells; not a name that nobody knows, a certificate, or a proxy."""
        try:
            url = httpx.URL(self.url)
            if url.scheme not in PORTS:
                return False
            with socket.create_connection((url.host, url.port or PORTS[url.scheme]), STOP_SECONDS):
                return False
        except ConnectionRefusedError:
            return True
        except (OSError, ValueError, httpx.InvalidURL):
            return False

    def release(self) -> None:
        """Does nothing: its traffic is not moved from here."""

    def _model(self, client: httpx.Client) -> str | None:
        if self._recognise is None:
            try:
                model: str = client.get("/healthz").json()["model"]
            except (httpx.HTTPError, ValueError, KeyError, TypeError):
                return None
            return model
        return self._recognise(
            lambda question: self._check.identify(self._check.ask(client, question).rows)
        )
