"""An app that somebody else deploys: ragkit looks at it, and says what to change by hand."""

import httpx

from ragkit.deploy.app import Revision
from ragkit.errors import DeployError


class ManualApp:
    """An App known only by its URL; what it serves is what its /healthz says."""

    def __init__(self, url: str):
        self.url = url

    def serving(self) -> Revision | None:
        if not self.url:
            return None
        try:
            with self.client() as client:
                model = client.get("/healthz").json()["model"]
        except (httpx.HTTPError, ValueError, KeyError, TypeError):
            return None
        return Revision(self.url, model)

    def revisions(self) -> list[Revision]:
        return []

    def stage(self, model: str) -> Revision:
        address = "" if self.url else ", set app.url"
        raise DeployError(
            f"deploy the app with EMBEDDING_MODEL={model} by hand{address}, "
            f"and run this step again: it continues once the app serves {model}"
        )

    def start(self, revision: Revision) -> None:
        raise DeployError(f"{revision.name} is deployed by hand: ragkit cannot start it")

    def promote(self, revision: Revision) -> None:
        raise DeployError(f"{revision.name} is deployed by hand: ragkit cannot move its traffic")

    def discard(self, revision: Revision) -> None:
        raise DeployError(f"{revision.name} is deployed by hand: ragkit cannot stop it")

    def commands(self, model: str) -> list[str]:
        return [f"# deploy the app with EMBEDDING_MODEL={model}"]

    def release(self) -> None:
        """Does nothing: its traffic is deployed by hand."""

    def client(self, revision: Revision | None = None) -> httpx.Client:
        return httpx.Client(base_url=self.url, timeout=30)
