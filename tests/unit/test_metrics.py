import math

import numpy as np
import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from ragkit.comparison import metrics

rows = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)
grades = st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 3), min_size=1)


def by_hand(qrels: dict[str, int], run: list[str], k: int) -> list[float]:
    """From the definitions, in the order of metrics.names: nDCG with linear gains."""
    gains = [qrels.get(row, 0) for row in run[:k]]
    ideal = sorted(qrels.values(), reverse=True)[:k]
    dcg, best = (sum(g / math.log2(i + 2) for i, g in enumerate(gs)) for gs in (gains, ideal))
    relevant = sum(g > 0 for g in qrels.values())
    hits = [i for i, gain in enumerate(gains, 1) if gain > 0]
    precisions = [number / place for number, place in enumerate(hits, 1)]
    return [
        dcg / best, len(hits) / relevant, len(hits) / k, 1 / hits[0] if hits else 0.0,
        sum(precisions) / relevant, float(bool(hits)),
    ]  # fmt: skip


@given(grades.filter(lambda g: any(g.values())), rows, st.sampled_from([3, 10]))
def test_figures_agree_with_their_definitions(qrels, run, k):
    found = metrics.per_question({"q": qrels}, {"q": run}, k).loc["q"]
    assert found.tolist() == pytest.approx(by_hand(qrels, run, k), abs=1e-9)


@given(
    st.dictionaries(st.sampled_from("pqr"), grades, min_size=1),
    st.dictionaries(st.sampled_from("pqr"), rows),
    st.sampled_from([1, 5, 10]),
)
def test_figures_agree_with_pytrec_eval(qrels, run, k):
    """As trec_eval's own users call it, with scores that fall."""
    scored = {q: {row: 1 / (1 + i) for i, row in enumerate(found[:k])} for q, found in run.items()}
    cuts = {f"{name}.{k}" for name in ("ndcg_cut", "recall", "P", "map_cut", "success")}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, cuts | {"recip_rank"}).evaluate(
        {q: found for q, found in scored.items() if found}
    )
    ours = metrics.per_question(qrels, run, k)
    for question, found in theirs.items():
        names = (f"ndcg_cut_{k}", f"recall_{k}", f"P_{k}", "recip_rank", f"map_cut_{k}",
                 f"success_{k}")  # fmt: skip
        expected = [found[name] for name in names]
        assert ours.loc[question].tolist() == pytest.approx(expected, abs=1e-9)


def test_a_question_without_an_answer_scores_zero():
    found = metrics.per_question({"q": {"a": 1}, "r": {"a": 1}}, {"q": [], "r": ["a"]}, 10)
    assert found.loc["q"].tolist() == [0] * 6
    assert found.loc["r"].tolist() == [1, 1, 0.1, 1, 1, 1]


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40), st.integers(0, 5))
def test_an_interval_holds_its_mean_and_repeats(values, seed):
    found = metrics.interval(np.array(values), seed)
    assert found.low - 1e-9 <= found.mean <= found.high + 1e-9
    assert found == metrics.interval(np.array(values), seed)


def test_a_bound_errs_in_five_percent():
    """Coverage by simulation: 90 % of the intervals hold the true mean, give or take."""
    draws = np.random.default_rng(3)
    found = [metrics.interval(draws.normal(0, 1, 60), 1) for _ in range(200)]
    held = sum(i.low <= 0 <= i.high for i in found)
    assert 0.83 <= held / 200 <= 0.96
