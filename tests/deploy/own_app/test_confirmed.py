"""An app that nobody asks."""

import pytest

from ragkit.deploy.own_app.confirmed import ConfirmedApp
from ragkit.errors import DeployError


def test_it_serves_what_the_record_says_and_asks_nothing():
    app = ConfirmedApp(lambda: "old", lambda model: f"{model}, by Ana")
    assert app.serving().model == "old"
    assert (app.smoke_test("q", "old", ["name"]), app.fields("")) == ("", set())
    revision, answer = app.switch("new", lambda _: pytest.fail("asked"), reuse=False)
    assert (revision.name, revision.model, answer) == ("new, by Ana", "new", "")
    assert "app.confirmed" in app.commands("new")[0]


def test_without_a_word_nothing_is_switched():
    def confirm(model):
        raise DeployError(f"switch to {model} first")

    with pytest.raises(DeployError, match="switch to new first"):
        ConfirmedApp(lambda: "old", confirm).switch("new", lambda _: "", reuse=False)
