"""An app that somebody else deploys: ragkit looks at it, and says what to change by hand."""

import httpx

from ragkit.app import Revision
from ragkit.errors import DeployError


class ManualApp:
    """An App (see ragkit.app) known only by its URL; what serves is what /healthz says."""

    def __init__(self, url: str):
        self.url = url

    def serving(self) -> Revision | None:
        if not self.url:
            return None
        try:
            with self.client() as client:
                model = client.get("/healthz").json()["model"]
        except (httpx.HTTPError, ValueError, KeyError):
            return None
        return Revision(self.url, model)

    def revisions(self) -> list[Revision]:
        return []

    def stage(self, model: str) -> Revision:
        raise DeployError(
            f"deploy the app with EMBEDDING_MODEL={model} by hand, set app_url (now "
            f"{self.url!r}) and run this step again: it goes on when the app serves {model}"
        )

    def start(self, revision: Revision) -> None:
        raise DeployError(f"{revision.name} is not ours to start")

    promote = discard = start

    def commands(self, model: str) -> list[str]:
        return [f"# deploy the app with EMBEDDING_MODEL={model}"]

    def release(self) -> None:
        """How its traffic is deployed is not ours to say."""

    def client(self, revision: Revision | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)
