"""How often the tests of a canary are wrong, and how soon they are right, with a look after each
answer."""

import re
from dataclasses import replace

import numpy as np
import pytest

from ragkit.deploy.canary.comparisons import Comparisons, Seen
from ragkit.deploy.canary.decision import BACK, ON, WAIT, look
from ragkit.deploy.canary.limits import EMPTY, ERRORS, OVERLAP, SLOW, Limits
from ragkit.deploy.canary.needed import needed, requests
from ragkit.sequential.betting import ERROR, sequential_test
from tests.deploy.canary.simulations import LIMITS, Revision, simulate, went_back, went_on

SIMULATIONS = 1000
SLACK = 3 * np.sqrt(ERROR * (1 - ERROR) / SIMULATIONS)
"""Three standard errors of a share that is ERROR."""
LIKE = Revision()
CALM = Revision(fails=0.001, spread=0.3)


def test_a_revision_that_is_no_worse_rarely_goes_back():
    rng = np.random.default_rng(1)
    looks = [simulate(rng, LIKE, LIKE, 0.5, 1000) for _ in range(SIMULATIONS)]
    assert np.mean([went_back(now) for now in looks]) <= ERROR + SLACK


@pytest.mark.parametrize(
    "fault",
    [{"fails": 0.01 + LIMITS.errors}, {"ms": 100 * LIMITS.slower}, {"empty": 0.05 + LIMITS.empty}],
    ids=[ERRORS, SLOW, EMPTY],
)
def test_a_revision_at_one_limit_rarely_goes_on(fault):
    """However good it is elsewhere."""
    rng, good = np.random.default_rng(2), Revision(fails=0.0, ms=80.0, empty=0.0)
    looks = [simulate(rng, LIKE, replace(good, **fault), 0.5, 1200) for _ in range(60)]
    assert np.mean([went_on(now) for now in looks]) <= ERROR


def test_a_revision_that_is_like_the_old_one_goes_on():
    rng = np.random.default_rng(3)
    looks = [simulate(rng, CALM, CALM, 0.5, 3000) for _ in range(50)]
    assert np.mean([went_on(now) for now in looks]) >= 0.9


@pytest.mark.parametrize("fault", [{"fails": 0.03}, {"ms": 150.0}], ids=["2 % more", "1.5 times"])
def test_a_worse_revision_goes_back(fault):
    rng = np.random.default_rng(4)
    looks = [simulate(rng, LIKE, replace(LIKE, **fault), 0.5, 6000) for _ in range(40)]
    assert np.mean([went_back(now) for now in looks]) >= 0.9


@pytest.mark.parametrize(("rate", "most"), [(0.02, 1000), (0.05, 500), (0.1, 300)])
def test_a_doubled_error_rate_is_caught(rate, most):
    """Within a median of so many answers of the new revision, which has 5 % of the traffic, in the
    first of two steps."""
    rng, caught = np.random.default_rng(5), []
    for _ in range(100):
        old = rng.binomial(19, rate, 4000) / 19
        values = rng.binomial(1, 2 * rate, 4000) - old
        caught.append(sequential_test(values, 0.0, error=ERROR / 6))
    assert np.mean([result.above is True for result in caught]) >= 0.95
    assert np.median([result.decided_at or 4000 for result in caught]) <= most


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_the_numbers_that_are_told_in_advance_are_right(steps):
    """Within a factor of 1.5 of the median."""
    rng, told, error = np.random.default_rng(6), needed(LIMITS, steps), ERROR / steps
    worse = rng.binomial(1, LIMITS.errors, (100, 4000)).astype(float)
    took = [sequential_test(row, 0.0, error=error / 3).decided_at for row in worse]
    assert 1 / 1.5 < np.median(took) / told.worse < 1.5
    clean, requests = Revision(fails=0.0, empty=0.0, spread=0.3), 3 * round(1.5 * told.alike)
    looks = [simulate(rng, clean, clean, 0.5, requests, error=error) for _ in range(20)]
    assert np.mean([went_on(now) for now in looks]) >= 0.5
    looks = [simulate(rng, clean, clean, 0.5, requests // 3, error=error) for _ in range(20)]
    assert np.mean([went_on(now) for now in looks]) <= 0.5


@pytest.mark.parametrize(("share", "requests_each"), [(5, 20.053), (50, 3), (80, 5.25)])
def test_how_many_requests_of_users_a_comparison_takes(share, requests_each):
    assert requests(1000, share) == pytest.approx(1000 * requests_each, abs=1)
    rng, sent = np.random.default_rng(9), 50_000
    now = simulate(rng, LIKE, LIKE, share / 100, sent)
    assert sent / now.standings[0].comparisons == pytest.approx(requests_each, rel=0.05)


def test_a_revision_that_never_answers_is_gone_after_a_dozen():
    comparisons, count = Comparisons(LIMITS.slower), 0
    stream = comparisons.open_stream()
    while count < 100 and look(comparisons, LIMITS, 5, ERROR / 2).decision != BACK:
        count += 1
        stream.add(Seen(False, False, 5.0, False))
        stream.add(Seen(True, True, 5.0, True))
    assert count == needed(LIMITS, 2).failing <= 12


def test_where_the_old_one_never_answers_the_new_one_goes_on():
    comparisons = Comparisons(LIMITS.slower)
    stream = comparisons.open_stream()
    for _ in range(30):
        stream.add(Seen(False, True, 5.0, True))
        stream.add(Seen(True, False, 5.0, False))
    assert look(comparisons, LIMITS, 5, ERROR / 2).decision == ON


def test_nothing_seen_decides_nothing():
    now = look(Comparisons(1.25), LIMITS, 5)
    assert (now.decision, now.answers, now.more) == (WAIT, 0, None)
    assert now.facts()[ERRORS] == "nothing compared yet"
    assert OVERLAP not in now.facts()


@pytest.mark.parametrize(
    ("overlap", "floor", "decision"), [(0.1, 0.0, ON), (0.1, 0.3, BACK), (0.6, 0.3, ON)]
)
def test_an_overlap_decides_only_where_a_floor_is_set(overlap, floor, decision):
    limits = Limits(errors=0.4, empty=0.4, overlap=floor)
    comparisons = Comparisons(limits.slower)
    stream = comparisons.open_stream()
    rng = np.random.default_rng(7)
    for ms in rng.uniform(5, 6, 600):
        stream.add(Seen(False, False, ms, False))
        stream.add(Seen(True, False, 5.0, False))
        comparisons.values[OVERLAP].append(float(rng.random() < overlap))
    now = look(comparisons, limits, 50)
    assert now.decision == decision
    state = now.facts()[OVERLAP].rpartition(", ")[2]
    assert (state in (ON, BACK)) == bool(floor)


def test_a_look_says_where_it_stands_and_what_is_missing():
    clean = Revision(fails=0.0, spread=0.2)
    now = simulate(np.random.default_rng(8), clean, clean, 0.5, 600)
    assert now.decision == WAIT
    assert 100 < now.more < 500
    text = str(now)
    assert text.startswith("canary: 50 % of the traffic waits, ")
    assert f"about {now.more} more comparisons" in text
    assert re.search(r"errors \+0\.0 points \(-\d\.\d to \+\d\.\d\), waits", text)
