"""What answers, and what does not, before anything is changed."""

from collections.abc import Callable
from dataclasses import dataclass

from ragkit.deploy.app import App
from ragkit.embedding.embedder import PROBE_TEXT, Embedder
from ragkit.errors import ConfigError, DeployError, ModelError

ANSWERS = "answers"
NOT_ASKED = "cannot be asked"


@dataclass(frozen=True)
class Diagnosis:
    """What each of them does now: ANSWERS, or why not. `serving` is the model by which the app
    answers, or by the record an app that is NOT_ASKED; None when it does not."""

    old_model: str
    new_model: str
    app: str
    serving: str | None

    @property
    def app_answers(self) -> bool:
        """An app that cannot be asked does as its model does, as far as that is known."""
        if self.app == NOT_ASKED:
            return self.old_model == ANSWERS
        return self.serving is not None


def diagnose(load_old: Callable[[], Embedder], new: Embedder, app: App, question: str) -> Diagnosis:
    """Asks both models and the app one question. Raises ModelError when the new model does not
    answer: nothing can be rescued by it."""
    try:
        old = _ask(load_old())
    except (ConfigError, ModelError) as error:
        old = str(error)
    return Diagnosis(old, _ask(new), *_ask_app(app, question))


def _ask(embedder: Embedder) -> str:
    embedder.embed_query(PROBE_TEXT)
    return ANSWERS


def _ask_app(app: App, question: str) -> tuple[str, str | None]:
    try:
        serving = app.serving()
        if serving is None:
            return f"nothing serves at {app.url!r}", None
        answer = app.smoke_test(question, serving.model)
        return ANSWERS if answer else NOT_ASKED, serving.model
    except (ConfigError, DeployError) as error:
        return str(error), None
