"""The whole gate over synthetic comparisons: how often is it wrong?"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from ragkit.comparison import gates
from ragkit.comparison.index_share import Point
from ragkit.comparison.metrics import Interval, names, per_question
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.slices import Slice, of_traits
from ragkit.migration.plan import Plan
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from tests.evidence import asked, evidence, judged

PLAN = Plan()
ROWS = [str(n) for n in range(400)]


def verdict(found, plan=PLAN, **more):
    return Verdict.of(gates.quality(plan, evidence(found, **more)), {}).verdict


def gate(found, name):
    return next(g for g in found if name in g.name)


def ranked(questions, place):
    """Runs in which question n finds its row at place(n), None for not at all."""
    run = {}
    for n in range(questions):
        others = [row for row in ROWS[:10] if row != str(n)][:9]
        at = place(n)
        run[f"q{n}"] = others if at is None else [*others[:at], str(n), *others[at:]]
    return run


def compared(questions, before, after, latency=1.0):
    return asked(judged(questions), ranked(questions, before), ranked(questions, after), latency)


FIRST, SECOND = (lambda _: 0), (lambda _: 1)


def test_better_worse_and_the_same():
    assert verdict(compared(80, SECOND, FIRST)) == GO
    assert verdict(compared(80, FIRST, SECOND)) == NO_GO
    assert verdict(compared(80, FIRST, FIRST)) == GO  # not worse


def test_a_model_against_itself_is_never_better():
    better = PLAN.model_copy(update={"gate_claim": "better"})
    same = gates.quality(better, evidence(compared(80, FIRST, FIRST)))
    assert gate(same, "nDCG@10 change").limit == "> 0"
    assert verdict(compared(80, FIRST, FIRST), better) == NO_GO
    assert verdict(compared(80, SECOND, FIRST), better) == GO


@pytest.mark.parametrize("after", [FIRST, SECOND])
def test_eight_questions_decide_nothing_however_alike(after):
    found = gates.quality(PLAN, evidence(compared(8, FIRST, after)))
    assert gate(found, "nDCG@10 change").passed is None
    assert "of 8 questions; to decide takes about 50" in gate(found, "nDCG@10 change").observed
    assert verdict(compared(8, FIRST, after)) == INCONCLUSIVE


def test_not_asked_not_judged_and_a_proxy_never_say_go():
    assert gates.quality(PLAN, evidence()) == [gates.NOT_ASKED]
    log = asked(replace(judged(80), qrels={}), ranked(80, FIRST), ranked(80, FIRST))
    assert verdict(log) == INCONCLUSIVE
    proxy = replace(judged(80), proxy=True)
    found = asked(proxy, ranked(80, SECOND), ranked(80, FIRST))
    assert gate(gates.quality(PLAN, evidence(found)), "judged") == gates.PROXY
    assert verdict(found) == INCONCLUSIVE
    lost = asked(proxy, ranked(80, FIRST), ranked(80, SECOND))
    assert verdict(lost) == INCONCLUSIVE  # words are not what people mean
    nowhere = asked(proxy, ranked(80, FIRST), ranked(80, lambda _: None))
    assert verdict(nowhere) == NO_GO


def test_a_slice_that_surely_loses_stops_a_good_mean():
    """Of 200 questions 180 gain, and 20 of one kind lose."""
    found = compared(200, lambda n: 1 if n < 180 else 0, lambda n: 0 if n < 180 else 1)
    kinds = {"kind": {f"q{n}": "most" if n < 180 else "few" for n in range(200)}}
    parts = of_traits(found, kinds, seed=1)
    assert verdict(found) == GO
    assert verdict(found, slices=parts) == NO_GO
    worst = gate(gates.quality(PLAN, evidence(found, slices=parts)), "worst of 2 slices")
    assert worst.observed.startswith("kind few (20): -0.369")
    unsure = [Slice("kind", "few", "nDCG@10", 20, Interval(-0.1, -0.3, 0.1))]
    assert verdict(found, slices=unsure) == GO


def test_the_index_is_judged_by_itself():
    point = Point("new", "v", "hnsw.ef_search = 40", True, Interval(0.7, 0.6, 0.8), 1.0, 2.0)
    found = gates.quality(PLAN, evidence(compared(80, FIRST, FIRST), index=[point]))
    assert gate(found, "index: recall").passed is False
    assert gate(found, "nDCG@10 change").passed is True
    unsure = replace(point, recall=Interval(0.9, 0.85, 0.95), side="new")
    assert verdict(compared(80, FIRST, FIRST), index=[unsure]) == INCONCLUSIVE
    other = replace(point, side="old")
    assert verdict(compared(80, FIRST, FIRST), index=[other]) == GO


@pytest.mark.parametrize(
    ("heard", "outcome"),
    [
        (Shadowed(200, 2, 0, Interval(0.5, 0.4, 0.6), 5.0, 20.0, None), GO),
        (Shadowed(200, 3, 0, Interval(0.5, 0.4, 0.6), 5.0, 20.0, "x"), NO_GO),
        (Shadowed(200, 0, 0, Interval(0.5, 0.4, 0.6), 5.0, 900.0, None), NO_GO),
        (Shadowed(4, 4, 0, None, None, None, "x"), NO_GO),
    ],
)
def test_the_shadow_counts(heard, outcome):
    assert verdict(compared(80, FIRST, FIRST), shadow=heard) == outcome


def test_latency_counts():
    assert verdict(compared(80, FIRST, FIRST, latency=900.0)) == NO_GO


RUNS, QUESTIONS, MARGIN = 1000, 200, PLAN.gate_margin


def outcomes(true_change):
    """Verdicts over RUNS comparisons: 40 % of the questions move, nDCG and recall together as
    they do, in five slices; `true_change` is of both."""
    rng = np.random.default_rng(5)
    found = []
    base = compared(QUESTIONS, FIRST, FIRST)
    for _ in range(RUNS):
        moved = rng.random(QUESTIONS) < 0.4
        old, new = (pd.DataFrame(0.5, base.old_scores.index, names(10)) for _ in range(2))
        change = np.where(moved, rng.normal(0, 0.25, QUESTIONS), 0.0) + true_change
        new["nDCG@10"] += change
        new["recall@10"] += np.where(moved, 0.7 * change + rng.normal(0, 0.15, QUESTIONS), 0.0)
        new["recall@10"] += np.where(moved, 0.3 * true_change, true_change)
        each = replace(base, old_scores=old, new_scores=new)
        kinds = {"kind": dict(zip(old.index, rng.choice(list("abcde"), QUESTIONS), strict=True))}
        parts = of_traits(each, kinds, seed=1)
        gated = gates.quality(PLAN, replace(evidence(), asked=each, slices=parts))
        found.append(Verdict.of(gated, {}).verdict)
    return found


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr("ragkit.comparison.metrics.RESAMPLES", 400)


@pytest.mark.timeout(200)
def test_equal_models_are_not_called_worse(few_resamples):
    found = outcomes(0.0)
    assert found.count(NO_GO) <= 0.05 * RUNS
    assert found.count(GO) > 0.5 * RUNS


@pytest.mark.timeout(200)
def test_a_model_that_is_four_points_worse_is_not_let_through(few_resamples):
    assert outcomes(-MARGIN).count(GO) <= 0.05 * RUNS


@pytest.mark.timeout(200)
def test_random_vectors_never_get_through(few_resamples):
    """Random lists of 400 rows, against a model that finds the row, and against their like."""
    rng = np.random.default_rng(6)
    base = compared(60, FIRST, FIRST)
    qrels = base.judged.qrels

    def chance(_):
        place = int(rng.integers(len(ROWS)))
        return place if place < 10 else None

    for number in range(RUNS):
        old, new = base.old_scores, per_question(qrels, ranked(60, chance), 10)
        if number % 2:
            old = per_question(qrels, ranked(60, chance), 10)
        each = replace(base, old_scores=old, new_scores=new)
        gated = gates.quality(PLAN, replace(evidence(), asked=each))
        assert Verdict.of(gated, {}).verdict == NO_GO
