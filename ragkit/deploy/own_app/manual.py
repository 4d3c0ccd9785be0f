"""An app that somebody else deploys: ragkit looks at it, and says what to change by hand."""

from collections.abc import Mapping

from ragkit.deploy.app import Revision, Test
from ragkit.deploy.own_app.asked import AskedApp, Recognise
from ragkit.deploy.own_app.check import Check
from ragkit.errors import AppNotRecognised, DeployError


class ManualApp(AskedApp):
    """An App known only by its URL and its answers. `orders`: by model, what to do beyond
    switching it."""

    def __init__(
        self, url: str, check: Check | None = None, recognise: Recognise | None = None,
        orders: Mapping[str, str] | None = None,
    ):  # fmt: skip
        super().__init__(url, check, recognise)
        self._orders = orders or {}

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
        if how := self._orders.get(model):
            return f"switch the app to {model} ({how})"
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
