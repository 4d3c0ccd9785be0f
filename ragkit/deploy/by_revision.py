"""An app with revisions beside one another, which all serve ragkit's own function.

The words are Cloud Run's: a revision is built once, started without traffic, tried at its own
address, given all traffic, and kept. The way back is the same revision again.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection

import httpx

from ragkit.deploy.app import Revision, Test
from ragkit.deploy.own_app.check import Check
from ragkit.deploy.smoke_test import result_fields, run_smoke_test


class RevisionedApp(ABC):
    """An App but for serving, commands and release. Every method may raise DeployError."""

    @property
    @abstractmethod
    def url(self) -> str:
        """The app's public address; "" when it has none yet."""

    @abstractmethod
    def revisions(self) -> list[Revision]:
        """All kept revisions, oldest first."""

    @abstractmethod
    def stage(self, model: str) -> Revision:
        """Builds a revision and starts it without traffic."""

    @abstractmethod
    def start(self, revision: Revision) -> None:
        """Starts a kept revision without traffic."""

    @abstractmethod
    def promote(self, revision: Revision) -> None:
        """Gives a revision all traffic without losing a request. After a DeployError the
        previous revision still serves."""

    @abstractmethod
    def discard(self, revision: Revision) -> None:
        """Stops a revision that has no traffic."""

    @abstractmethod
    def client(self, revision: Revision | None = None) -> httpx.Client:
        """HTTP to a started revision at its own address, or to the app's public one."""

    def is_split(self) -> bool:
        return False

    def stop(self, model: str) -> bool:
        return False

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """No traffic is moved before the revision has answered."""
        kept = [revision for revision in self.revisions() if revision.model == model]
        if kept and reuse:
            revision = kept[-1]
            self.start(revision)
        else:
            revision = self.stage(model)
        try:
            test(revision)
            self.promote(revision)
        finally:
            self.discard(revision)
        return revision, test(None)

    def smoke_test(
        self,
        question: str,
        model: str,
        fields: Collection[str] = (),
        revision: Revision | None = None,
    ) -> str:
        with self.client(revision) as client:
            return run_smoke_test(client, question, model, fields)

    def fields(self, answer: str) -> set[str]:
        return result_fields(answer)

    def curl(self, question: str) -> str:
        return Check().shell_line(self.url, question)
