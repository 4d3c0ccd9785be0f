import numpy as np
import pytest

from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.slices import (
    MIN_SLICE_QUESTIONS,
    Slice,
    known_facets,
    slices_by_facet,
    worst_slice,
)
from tests.evaluation.example_evidence import make_comparison, make_questions

COUNT = 60
NEW = {f"q{n}": ["x", str(n)] if n % 2 else [str(n), "x"] for n in range(COUNT)}
OLD = {question: ["x", question[1:]] for question in NEW}
COMPARISON = make_comparison(make_questions(COUNT), OLD, NEW)
"""Even questions gain: their row moves from the second place to the first."""


def test_a_slice_has_the_mean_of_its_questions():
    parity = {question: "odd" if int(question[1:]) % 2 else "even" for question in NEW}
    even, odd = slices_by_facet(COMPARISON, {"parity": parity}, 1)
    assert (even.kind, even.name, even.n, odd.n) == ("parity", "even", 30, 30)
    gain = 1 - 1 / np.log2(3)
    assert even.change.mean == pytest.approx(gain)
    assert odd.change.mean == 0
    assert even.metric == "nDCG@10"


def test_small_slices_are_merged_and_a_single_slice_is_left_out():
    names = {q: f"small {int(q[1:]) // 5}" if int(q[1:]) < 20 else "large" for q in NEW}
    slices = slices_by_facet(COMPARISON, {"size": names}, 1)
    assert [(part.name, part.n) for part in slices] == [("large", 40), ("other", 20)]
    assert slices_by_facet(COMPARISON, {"same": dict.fromkeys(NEW, "all")}, 1) == []
    few = {q: "few" if int(q[1:]) < MIN_SLICE_QUESTIONS - 1 else "large" for q in NEW}
    slices = slices_by_facet(COMPARISON, {"few": few}, 1)
    assert [part.name for part in slices] == ["large"]


def test_more_slices_have_wider_intervals():
    halves = {question: str(int(question[1:]) < COUNT / 2) for question in NEW}
    facets = {"a": halves, **{f"b{i}": halves for i in range(9)}}
    of_two = slices_by_facet(COMPARISON, {"a": halves}, 1)[0].change
    of_twenty = slices_by_facet(COMPARISON, facets, 1)[0].change
    assert of_twenty.high - of_twenty.low > of_two.high - of_two.low


def test_questions_without_a_facet_or_a_judgement_are_left_out():
    names = {q: "a" if int(q[1:]) < 30 else "b" for q in list(NEW)[:50]} | {"unjudged": "a"}
    assert [part.n for part in slices_by_facet(COMPARISON, {"x": names}, 1)] == [30, 20]


def test_a_facet_that_most_questions_lack_makes_no_slices_and_says_so():
    names = list(NEW)
    half, most = dict.fromkeys(names[:30], "en"), dict.fromkeys(names[:29], "en")
    facets = {"length": dict.fromkeys(NEW, "short"), "language": most, "category": {}}
    kept, left_out = known_facets(COMPARISON, facets)
    assert set(kept) == {"length"}
    assert left_out == ["No slices by language: it is unclear for 31 of 60 judged questions"]
    assert known_facets(COMPARISON, {"language": half}) == ({"language": half}, [])


def test_the_worst_slice_is_the_one_that_surely_loses_not_the_one_with_the_lowest_mean():
    sure = Slice("length", "short", "nDCG@10", 80, Interval(-0.07, -0.13, -0.01))
    wide = Slice("category", "bar", "nDCG@10", 11, Interval(-0.13, -0.4, 0.1))
    assert worst_slice([wide, sure]) == sure
    assert worst_slice([]) is None
