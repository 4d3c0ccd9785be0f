"""An app that ragkit neither deploys nor asks: its operator says that it was switched."""

from collections.abc import Callable, Collection

from ragkit.deploy.app import Revision, Test


class ConfirmedApp:
    """An App. `serving_model` is what the record says; `confirm` returns what the operator says
    of a switch to a model, and raises DeployError when nothing was said."""

    url = ""

    def __init__(self, serving_model: Callable[[], str], confirm: Callable[[str], str]):
        self._serving_model, self._confirm = serving_model, confirm

    def serving(self) -> Revision | None:
        return Revision("by hand", self._serving_model())

    def is_split(self) -> bool:
        return False

    def smoke_test(
        self,
        question: str,
        model: str,
        fields: Collection[str] = (),
        revision: Revision | None = None,
    ) -> str:
        """Nothing is asked: the answer is empty."""
        return ""

    def fields(self, answer: str) -> set[str]:
        return set()

    def switch(self, model: str, test: Test, *, reuse: bool) -> tuple[Revision, str]:
        """Raises DeployError unless the operator confirms the switch."""
        return Revision(self._confirm(model), model), ""

    def commands(self, model: str) -> list[str]:
        return [f"# switch the app to {model} by hand, then say so in app.confirmed"]

    def curl(self, question: str) -> str:
        return "# app.target: none: the app is not asked"

    def stop(self, model: str) -> bool:
        return False

    def release(self) -> None:
        """Does nothing: its traffic is not moved from here."""
