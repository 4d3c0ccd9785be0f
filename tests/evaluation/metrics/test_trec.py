import math

import pytest
import pytrec_eval
from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.metrics import trec

ranked_rows = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)
grades = st.dictionaries(st.sampled_from("abcdefghijkl"), st.integers(0, 3), min_size=1)


def scores_by_definition(qrels: dict[str, int], ranking: list[str], k: int) -> list[float]:
    """From the definitions, in the order of trec.metric_names: nDCG with linear gains."""
    gains = [qrels.get(row, 0) for row in ranking[:k]]
    ideal = sorted(qrels.values(), reverse=True)[:k]
    dcg, best = (sum(g / math.log2(i + 2) for i, g in enumerate(gs)) for gs in (gains, ideal))
    relevant = sum(g > 0 for g in qrels.values())
    hits = [i for i, gain in enumerate(gains, 1) if gain > 0]
    precisions = [number / place for number, place in enumerate(hits, 1)]
    return [
        dcg / best,
        len(hits) / relevant,
        len(hits) / k,
        1 / hits[0] if hits else 0.0,
        sum(precisions) / relevant,
        float(bool(hits)),
    ]


@given(grades.filter(lambda g: any(g.values())), ranked_rows, st.sampled_from([3, 10]))
def test_scores_agree_with_their_definitions(qrels, ranking, k):
    scores = trec.score_questions({"q": qrels}, {"q": ranking}, k).loc["q"]
    assert scores.tolist() == pytest.approx(scores_by_definition(qrels, ranking, k), abs=1e-9)


@given(
    st.dictionaries(st.sampled_from("pqr"), grades, min_size=1),
    st.dictionaries(st.sampled_from("pqr"), ranked_rows),
    st.sampled_from([1, 5, 10]),
)
def test_scores_agree_with_pytrec_eval(qrels, rankings, k):
    """pytrec_eval as its users call it, with scores that fall."""
    scored_rows = {
        question: {row: 1 / (1 + rank) for rank, row in enumerate(rows[:k])}
        for question, rows in rankings.items()
    }
    cuts = {f"{name}.{k}" for name in ("ndcg_cut", "recall", "P", "map_cut", "success")}
    results = pytrec_eval.RelevanceEvaluator(qrels, cuts | {"recip_rank"}).evaluate(
        {question: rows for question, rows in scored_rows.items() if rows}
    )
    scores = trec.score_questions(qrels, rankings, k)
    names = (f"ndcg_cut_{k}", f"recall_{k}", f"P_{k}", "recip_rank", f"map_cut_{k}", f"success_{k}")
    for question, result in results.items():
        expected = [result[name] for name in names]
        assert scores.loc[question].tolist() == pytest.approx(expected, abs=1e-9)


def test_a_question_with_an_empty_list_scores_zero():
    scores = trec.score_questions({"q": {"a": 1}, "r": {"a": 1}}, {"q": [], "r": ["a"]}, 10)
    assert scores.loc["q"].tolist() == [0] * 6
    assert scores.loc["r"].tolist() == [1, 1, 0.1, 1, 1, 1]
