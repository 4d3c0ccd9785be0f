"""A whole canary: gcloud and two revisions are stand-ins, which are slow, empty or fail as told."""

import pytest

from ragkit.deploy.canary import steps
from ragkit.deploy.canary.decision import BACK, ON, WAIT
from ragkit.errors import DeployError
from tests.deploy.test_cloud_run import NEW, cloud_app

BY_QUESTIONS = {"per_second": 100.0, "minutes": 2.0}
"""Where nobody else asks."""
BY_LOG = {"per_second": 0.0, "minutes": 2.0}
"""Where ragkit does not ask."""


class Site:
    """An app of which a new revision is staged, with what its canary tells."""

    def __init__(self, cloud):
        self.cloud, self.looks = cloud, []
        app = cloud_app(canary=[])
        app.stage("textembedding-gecko@001")
        self.old, self.new = app.serving(), app.stage(NEW)

    def promote(self, shares, limits, **of_the_new):
        self.cloud.change(-1, **of_the_new)
        cloud_app(limits, self.looks.append, canary=shares).promote(self.new)

    @property
    def last(self):
        return self.looks[-1]

    def decision(self, test):
        return next(s.decision for s in self.last.standings if s.test == test)


@pytest.fixture
def site(cloud, monkeypatch):
    monkeypatch.setattr(steps, "LOG_SECONDS", 0.2)
    monkeypatch.setattr(steps, "ROUND_SECONDS", 0.3)
    return Site(cloud)


def test_a_revision_that_fails_two_percent_more_is_taken_back_by_the_log(site):
    with (
        site.cloud.users(2000),
        pytest.raises(
            DeployError, match=r"new revision is worse; canary: 50 % .*goes back, .*; all"
        ),
    ):
        site.promote([50], BY_LOG | {"errors": 0.015}, fails=0.02)  # at 0.02, 1 % would go on
    assert site.cloud.read()["traffic"] == {site.old.name: 100}
    errors = next(s for s in site.last.standings if s.test == "errors")
    assert errors.mean > 0.008  # an answer that fails is a slow one and an empty one too


def test_a_revision_that_is_slower_by_half_is_taken_back_by_the_log(site):
    with site.cloud.users(3000), pytest.raises(DeployError, match=r"slow answers .* goes back"):
        site.promote([50], BY_LOG, ms=7.5)
    assert site.decision("slow answers") == BACK
    assert site.decision("errors") != BACK


def test_an_equal_revision_goes_through_each_step_by_the_log(site):
    with site.cloud.users(3000):
        site.promote([5, 50], BY_LOG)
    assert site.cloud.read()["traffic"] == {site.new.name: 100}
    ended = [look for look in site.looks if look.decision == ON]
    assert [look.share for look in ended] == [5, 50]
    assert {s.decision for look in ended for s in look.standings} == {ON}


def test_without_traffic_its_own_questions_find_a_revision_that_is_slower_by_half(site):
    site.cloud.change(0, ms=40.0)
    with pytest.raises(DeployError, match=r"slow answers .* goes back"):
        site.promote([5], BY_QUESTIONS, ms=60.0)
    assert site.decision("slow answers") == BACK


def test_without_traffic_and_log_an_equal_revision_goes_on(site):
    """By its own questions, of which it says that they are all there is."""
    site.cloud.write(log=False)
    site.promote([5], BY_QUESTIONS | {"errors": 0.1, "slower": 5.0})
    assert site.cloud.read()["traffic"] == {site.new.name: 100}
    assert "PERMISSION_DENIED" in site.last.log_fault
    overlap = next(s for s in site.last.standings if s.test == "overlap")
    assert (overlap.mean, overlap.decision) == (1.0, None)


def test_questions_of_ragkit_are_not_taken_for_live_ones(site):
    site.promote([50], BY_QUESTIONS | {"errors": 0.3, "slower": 5.0})
    errors = next(s for s in site.last.standings if s.test == "errors")
    assert errors.comparisons == site.last.answers  # each is compared once


def test_without_any_answer_all_goes_back_with_what_is_missing(site):
    with pytest.raises(
        DeployError, match=r"not decided in 0.05 min after 0 answers .*; all traffic"
    ):
        site.promote([5], {"per_second": 0.0, "minutes": 0.05})
    assert site.cloud.read()["traffic"] == {site.old.name: 100}
    assert [look.decision for look in site.looks[-2:]] == [WAIT, BACK]


def test_a_canary_that_can_neither_read_nor_ask_ends_soon(site, monkeypatch):
    monkeypatch.setattr(steps, "BLIND_SECONDS", 1.0)
    site.cloud.write(log=False)
    with pytest.raises(DeployError, match=r"sees nothing: .*PERMISSION_DENIED.*; grant roles/run"):
        site.promote([5], {"per_second": 0.0})
    assert site.cloud.read()["traffic"] == {site.old.name: 100}


def test_a_revision_that_never_answers_is_gone_in_seconds(site):
    with pytest.raises(DeployError, match=r"errors [+]100\.0 points .* goes back"):
        site.promote([5], BY_QUESTIONS, fails=1.0)
    assert site.last.answers <= 100
