"""The gates over synthetic comparisons, and how often the verdict is wrong."""

from dataclasses import astuple, replace
from functools import cache

import numpy as np
import pandas as pd
import pytest

from ragkit.evaluation import gates
from ragkit.evaluation.index.recall import IndexMeasurement
from ragkit.evaluation.label_free.shadow_log import ShadowSummary
from ragkit.evaluation.metrics import bootstrap
from ragkit.evaluation.metrics.bootstrap import CONFIDENCE, Interval, percentile_interval
from ragkit.evaluation.metrics.trec import metric_names, score_questions
from ragkit.evaluation.slices import Slice, slices_by_facet
from ragkit.migration.plan.steps import GatesSection
from ragkit.migration.verdict import GO, INCONCLUSIVE, NO_GO, Verdict
from tests.evaluation.example_evidence import make_comparison, make_evidence, make_questions

LIMITS = GatesSection()
SUPERIORITY = GatesSection(claim="better")
ROWS = [str(n) for n in range(400)]


def first(question):
    return 0


def second(question):
    return 1


def nowhere(question):
    return None


def make_rankings(questions, place):
    """Lists of ten rows in which question n finds its row at place(n); None is not at all."""
    rankings = {}
    for n in range(questions):
        others = [row for row in ROWS[:10] if row != str(n)][:9]
        at = place(n)
        ranking = others if at is None else [*others[:at], str(n), *others[at:]]
        rankings[f"q{n}"] = ranking
    return rankings


def compare_places(questions, old, new, latency_ms=1.0):
    old_rankings, new_rankings = make_rankings(questions, old), make_rankings(questions, new)
    return make_comparison(make_questions(questions), old_rankings, new_rankings, latency_ms)


def quality_gates(comparison=None, limits=LIMITS, **parts):
    """No gate reads the differences with their tests of significance: they are left out."""
    evidence = make_evidence(comparison, differences=[], **parts)
    return gates.quality_gates(limits, evidence)


def verdict(comparison, limits=LIMITS, **parts):
    return Verdict.of(quality_gates(comparison, limits, **parts), {}).verdict


def gate(found_gates, name):
    return next(g for g in found_gates if name in g.name)


@pytest.fixture(scope="module")
def equal():
    return compare_places(80, first, first)


def test_a_model_that_is_not_worse_is_a_go(equal):
    assert verdict(compare_places(80, second, first)) == GO
    assert verdict(compare_places(80, first, second)) == NO_GO
    assert verdict(equal) == GO


def test_an_equal_model_is_never_better(equal):
    assert gate(quality_gates(equal, SUPERIORITY), "nDCG@10 change").limit == "> 0"
    assert verdict(equal, SUPERIORITY) == NO_GO
    assert verdict(compare_places(80, second, first), SUPERIORITY) == GO


@pytest.mark.parametrize("new", [first, second])
def test_eight_questions_decide_nothing_even_if_all_agree(new):
    comparison = compare_places(8, first, new)
    ndcg = gate(quality_gates(comparison), "nDCG@10 change")
    assert ndcg.passed is None
    assert "of 8 questions; to decide takes about 50" in ndcg.observed
    assert verdict(comparison) == INCONCLUSIVE


def test_there_is_no_go_without_questions():
    assert quality_gates() == [gates.NOT_ASKED]


def test_there_is_no_go_without_judgements():
    questions = replace(make_questions(80), qrels={})
    rankings = make_rankings(80, first)
    assert verdict(make_comparison(questions, rankings, rankings)) == INCONCLUSIVE


def test_known_items_can_stop_a_model_but_never_pass_it():
    questions = make_questions(80, is_proxy=True)
    at_first, at_second = make_rankings(80, first), make_rankings(80, second)
    better = make_comparison(questions, at_second, at_first)
    assert gate(quality_gates(better), "judged") == gates.PROXY
    assert verdict(better) == INCONCLUSIVE
    worse = make_comparison(questions, at_first, at_second)
    assert verdict(worse) == INCONCLUSIVE  # a row's own words are not what people ask
    lost = make_comparison(questions, at_first, make_rankings(80, nowhere))
    assert verdict(lost) == NO_GO


def test_a_significant_loss_in_a_slice_stops_a_good_mean():
    """Of 200 questions 180 gain, and 20 of one kind lose."""
    comparison = compare_places(200, lambda n: 1 if n < 180 else 0, lambda n: 0 if n < 180 else 1)
    facets = {"kind": {f"q{n}": "most" if n < 180 else "few" for n in range(200)}}
    slices = slices_by_facet(comparison, facets, seed=1)
    assert verdict(comparison) == GO
    assert verdict(comparison, slices=slices) == NO_GO
    worst = gate(quality_gates(comparison, slices=slices), "worst of 2 slices")
    assert worst.observed.startswith("kind few (20): -0.369")
    undecided = [Slice("kind", "few", "nDCG@10", 20, Interval(-0.1, -0.3, 0.1))]
    assert verdict(comparison, slices=undecided) == GO


def test_the_index_has_a_gate_of_its_own(equal):
    measurement = IndexMeasurement(
        side="new", column="v", setting="hnsw.ef_search = 40", default=True,
        recall=Interval(0.7, 0.6, 0.8), p50_ms=1.0, p95_ms=2.0,
        n=300, queries="questions",
    )  # fmt: skip
    found_gates = quality_gates(equal, index=[measurement])
    assert gate(found_gates, "index: recall").passed is False
    assert gate(found_gates, "nDCG@10 change").passed is True
    undecided = replace(measurement, recall=Interval(0.9, 0.85, 0.95))
    assert verdict(equal, index=[undecided]) == INCONCLUSIVE
    assert verdict(equal, index=[replace(undecided, side="old")]) == GO


def test_an_index_of_bits_says_what_to_raise(equal):
    measurement = IndexMeasurement(
        side="new", column="v", setting="oversampling = 4", default=True,
        recall=Interval(0.7, 0.6, 0.8), p50_ms=1.0, p95_ms=2.0,
        n=300, queries="questions",
    )  # fmt: skip
    failed = gate(quality_gates(equal, index=[measurement]), "index: recall")
    assert (failed.passed, "raise index.oversampling" in failed.observed) == (False, True)
    good = replace(measurement, recall=Interval(0.97, 0.95, 0.99))
    passed = gate(quality_gates(equal, index=[good]), "index: recall")
    assert (passed.passed, "raise" in passed.observed) == (True, False)


def test_a_setting_that_the_app_does_not_use_has_no_gate(equal):
    measurement = IndexMeasurement(
        side="new", column="v", setting="hnsw.ef_search = 10", default=False,
        recall=Interval(0.7, 0.6, 0.8), p50_ms=1.0, p95_ms=2.0,
        n=300, queries="questions",
    )  # fmt: skip
    assert verdict(equal, index=[measurement]) == GO


SHADOW = ShadowSummary(
    requests=200, errors=2, dropped=0, overlap=Interval(0.5, 0.4, 0.6), p95_ms=5.0,
    shadow_p95_ms=20.0, commonest_error=None,
)  # fmt: skip


@pytest.mark.parametrize(
    ("shadow", "outcome"),
    [
        (SHADOW, GO),
        (replace(SHADOW, errors=3, commonest_error="x"), NO_GO),
        (replace(SHADOW, errors=0, shadow_p95_ms=900.0), NO_GO),
        (ShadowSummary(4, 4, 0, None, None, None, commonest_error="x"), NO_GO),
    ],
)
def test_errors_and_latency_of_the_shadow_have_gates(equal, shadow, outcome):
    assert verdict(equal, shadow=shadow) == outcome


def test_latency_has_a_gate():
    assert verdict(compare_places(80, first, first, latency_ms=900.0)) == NO_GO


RUNS, QUESTIONS, SIMULATED_RESAMPLES = 1000, 200, 400


def simulate_verdicts(true_change):
    """Verdicts over RUNS comparisons in five slices.

    40 % of the questions change, nDCG and recall together as they do in practice; `true_change`
    is the mean change of both.
    """
    rng = np.random.default_rng(5)
    base = compare_places(QUESTIONS, first, first)
    questions, metrics = base.old_scores.index, metric_names(10)
    old_scores = pd.DataFrame(0.5, questions, metrics)
    verdicts = []
    for _ in range(RUNS):
        is_changed = rng.random(QUESTIONS) < 0.4
        ndcg = np.where(is_changed, rng.normal(0, 0.25, QUESTIONS), 0.0) + true_change
        recall = np.where(is_changed, 0.7 * ndcg + rng.normal(0, 0.15, QUESTIONS), 0.0)
        recall += np.where(is_changed, 0.3 * true_change, true_change)
        new_scores = old_scores.assign(**{"nDCG@10": 0.5 + ndcg, "recall@10": 0.5 + recall})
        comparison = replace(base, old_scores=old_scores, new_scores=new_scores)
        names = rng.choice(list("abcde"), QUESTIONS)
        facets = {"kind": dict(zip(questions, names, strict=True))}
        verdicts.append(verdict(comparison, slices=slices_by_facet(comparison, facets, seed=1)))
    return verdicts


@cache
def count_draws(seed, n):
    """How often each resample of bootstrap_interval draws each value: (SIMULATED_RESAMPLES, n)."""
    draws = np.random.default_rng(seed).integers(n, size=(SIMULATED_RESAMPLES, n))
    draws += n * np.arange(SIMULATED_RESAMPLES)[:, None]
    return np.bincount(draws.ravel(), minlength=draws.size).reshape(draws.shape).astype(float)


def interval_by_counts(values, seed, weights=None, confidence=CONFIDENCE):
    """The interval of bootstrap_interval, in a fifth of the time: intervals of one seed and one
    number of values have the same resamples, which are drawn once."""
    assert weights is None
    if np.ptp(values) == 0:
        return Interval(*(float(values[0]),) * 3)
    means = count_draws(seed, len(values)) @ values / len(values)
    return percentile_interval(float(np.mean(values)), means, confidence)


@pytest.fixture
def few_resamples(monkeypatch):
    """Intervals of SIMULATED_RESAMPLES resamples, in a simulation of thousands of them."""
    monkeypatch.setattr(gates, "bootstrap_interval", interval_by_counts)
    monkeypatch.setattr("ragkit.evaluation.slices.bootstrap_interval", interval_by_counts)


@pytest.mark.parametrize("n", [12, 43, 60, QUESTIONS])
@pytest.mark.parametrize("confidence", [CONFIDENCE, 0.98])
def test_the_simulation_has_the_intervals_of_the_library(monkeypatch, n, confidence):
    monkeypatch.setattr(bootstrap, "RESAMPLES", SIMULATED_RESAMPLES)
    values = np.random.default_rng(n).normal(size=n)
    for sample in (values, np.full(n, 0.5)):
        interval = bootstrap.bootstrap_interval(sample, 1, confidence=confidence)
        simulated = interval_by_counts(sample, 1, confidence=confidence)
        assert astuple(simulated) == pytest.approx(astuple(interval), abs=1e-12)


@pytest.mark.timeout(200)
def test_equal_models_are_not_called_worse(few_resamples):
    verdicts = simulate_verdicts(0.0)
    assert verdicts.count(NO_GO) <= 0.05 * RUNS
    assert verdicts.count(GO) > 0.5 * RUNS


@pytest.mark.timeout(200)
def test_a_model_that_is_worse_by_the_margin_is_rarely_a_go(few_resamples):
    assert simulate_verdicts(-LIMITS.margin).count(GO) <= 0.05 * RUNS


@pytest.mark.timeout(200)
def test_random_vectors_are_never_a_go(few_resamples):
    """Random lists of 400 rows, compared with a model that finds the row and with each other."""
    rng = np.random.default_rng(6)
    base = compare_places(60, first, first)

    def random_place(question):
        place = int(rng.integers(len(ROWS)))
        return place if place < 10 else None

    def random_scores():
        return score_questions(base.questions.qrels, make_rankings(60, random_place), 10)

    for run in range(RUNS):
        new_scores = random_scores()
        old_scores = random_scores() if run % 2 else base.old_scores
        comparison = replace(base, old_scores=old_scores, new_scores=new_scores)
        assert verdict(comparison) == NO_GO
