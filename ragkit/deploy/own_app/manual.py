"""An app that somebody else deploys: ragkit looks at it, and says what to change by hand."""

from ragkit.deploy.app import Revision, Test
from ragkit.deploy.own_app.asked import AskedApp
from ragkit.errors import AppNotRecognised, DeployError


class ManualApp(AskedApp):
    """An App known only by its URL and its answers."""

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """Raises DeployError, which says what to deploy, and what serves now."""
        address = "" if self.url else ", set app.url"
        raise DeployError(
            f"{self._order(model)} by hand{address}, and run this step again: it continues once "
            f"the app serves {model}{self._observed()}"
        )

    def commands(self, model: str) -> list[str]:
        return [f"# {self._order(model)}"]

    def _order(self, model: str) -> str:
        if self._recognise is None:
            return f"deploy the app with EMBEDDING_MODEL={model}"
        return f"switch the app to {model}"

    def _observed(self) -> str:
        if not self.url:
            return ""
        try:
            serving = self.serving()
        except AppNotRecognised as error:
            return f"; now: {error}"
        return f"; now it serves {serving.model}" if serving else "; now its /healthz names none"
