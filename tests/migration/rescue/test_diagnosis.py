import pytest

from ragkit.deploy.own_app.confirmed import ConfirmedApp
from ragkit.embedding.load import load_embedder
from ragkit.errors import ModelUnavailable
from ragkit.migration.rescue.diagnosis import ANSWERS, NOT_ASKED, diagnose
from tests.conftest import OLD


def gone():
    return load_embedder("unknown/256")


def test_each_is_asked_and_what_fails_says_why(site, new_embedder):
    runbook = site()
    found = diagnose(gone, new_embedder, runbook.app, "wool and fish")
    assert "is not in the catalogue" in found.old_model
    assert (found.new_model, found.app, found.serving) == (ANSWERS, ANSWERS, OLD)


def test_an_app_that_is_down_is_told(site, old_embedder, new_embedder):
    runbook = site()
    site.app.stop()
    found = diagnose(lambda: old_embedder, new_embedder, runbook.app, "wool")
    assert found.old_model == ANSWERS
    assert found.app != ANSWERS
    assert not found.serving


def test_an_app_that_nobody_can_ask_does_as_its_model(old_embedder, new_embedder):
    """With app.target: none, the record alone says what serves."""
    app = ConfirmedApp(lambda: OLD, lambda model: "")
    found = diagnose(gone, new_embedder, app, "wool")
    assert (found.app, found.serving, found.app_answers) == (NOT_ASKED, OLD, False)
    assert diagnose(lambda: old_embedder, new_embedder, app, "wool").app_answers


def test_without_the_new_model_nothing_can_be_rescued(site, old_embedder):
    runbook = site()
    with pytest.raises(ModelUnavailable):
        diagnose(lambda: old_embedder, gone(), runbook.app, "wool")
