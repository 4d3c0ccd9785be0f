"""When a run begins with a rescue by itself."""

from ragkit.migration.schema.expansion import expand
from ragkit.runbook import Runbook
from ragkit.runbook.rescue.need import needs_rescue
from tests.conftest import changed
from tests.runbook.conftest import by_script, site
from tests.runbook.rescue.conftest import GONE

__all__ = ["site"]


def test_where_the_old_model_and_the_app_are_gone(down):
    runbook = down(GONE)
    assert needs_rescue(runbook)
    expand(runbook.migration)
    assert needs_rescue(runbook)


def test_not_where_the_old_model_answers(down):
    """The app is mended by a restart then."""
    assert not needs_rescue(down())


def test_not_where_the_app_answers(down):
    runbook = down(GONE)
    runbook.app.promote(runbook.app.stage("wordllama-256"))
    assert not needs_rescue(runbook)


def test_not_where_the_new_model_does_not_answer(down):
    runbook = down(GONE)
    mute = changed(runbook.plan, {"new.model": "no.such.module:Model"})
    assert not needs_rescue(Runbook(mute, runbook.run_dir))


def test_not_for_an_app_that_does_not_know_the_rescued_search(site):
    site.app.stop()
    assert not needs_rescue(by_script(site))
