import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.metrics.rank_overlap import (
    first_row_changed,
    kendall,
    least_overlap,
    overlap,
    rank_biased_overlap,
)

ranked_rows = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


@given(ranked_rows.filter(bool), ranked_rows, st.floats(0.5, 0.95))
def test_rank_biased_overlap_is_a_symmetric_share(old, new, p):
    forward, backward = rank_biased_overlap(old, new, p), rank_biased_overlap(new, old, p)
    assert forward == pytest.approx(backward)
    assert -1e-9 <= forward <= 1 + 1e-9
    assert rank_biased_overlap(old, old, p) == pytest.approx(1)


def test_rank_biased_overlap_gives_the_first_rows_most_weight():
    old = list("abcdefghij")
    first_exchanged, last_exchanged = list("bacdefghij"), list("abcdefghji")
    assert rank_biased_overlap(old, first_exchanged) < rank_biased_overlap(old, last_exchanged) < 1
    assert rank_biased_overlap(old, list("klmnopqrst")) == 0


@given(ranked_rows.filter(bool), ranked_rows)
def test_overlap_is_a_share_and_ignores_the_order(old, new):
    assert 0 <= overlap({"q": old}, {"q": new}, 12)["q"] <= 1
    assert overlap({"q": old}, {"q": old[::-1]}, 12)["q"] == 1


def tau_by_definition(old, new):
    """Kendall 1945: ties count in the denominator alone."""
    rows = sorted({*old, *new})
    a, b = ([side.index(r) if r in side else len(side) for r in rows] for side in (old, new))
    pairs = [(i, j) for i in range(len(rows)) for j in range(i)]
    signs = [((a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])) for i, j in pairs]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return sum(x * y for x, y in signs) / (untied[0] * untied[1]) ** 0.5


@given(ranked_rows.filter(lambda r: len(r) > 1), ranked_rows.filter(lambda r: len(r) > 1))
def test_kendalls_tau_agrees_with_its_definition(old, new):
    tau = kendall({"q": old}, {"q": new}, 12)["q"]
    assert tau == pytest.approx(tau_by_definition(old, new))


def test_kendalls_tau_of_equal_reversed_disjoint_and_empty_lists():
    old = list("abcde")
    new = {"equal": old, "reversed": old[::-1], "disjoint": list("vwxyz"), "empty": []}
    tau = kendall(dict.fromkeys(new, old), new, 5)
    assert (tau["equal"], tau["reversed"], tau["empty"]) == (1, pytest.approx(-1), 0)
    assert tau["disjoint"] < 0


def test_a_first_row_changes_when_the_lists_start_differently():
    old = {"same": ["1", "2"], "other": ["1", "2"], "both empty": [], "empty before": []}
    new = {"same": ["1", "3"], "other": ["2", "1"], "both empty": [], "empty before": ["1"]}
    changed = first_row_changed(old, new)
    assert changed.to_dict() == {"same": 0, "other": 1, "both empty": 0, "empty before": 1}


@given(st.permutations(range(11)), st.permutations(range(11)), st.integers(1, 11))
def test_lists_over_few_rows_share_the_least_overlap_whatever_they_are(old, new, k):
    shared = overlap({"q": [str(row) for row in old]}, {"q": [str(row) for row in new]}, k)["q"]
    assert shared >= least_overlap(k, 11) - 1e-9
    assert least_overlap(10, 11) == pytest.approx(0.9)
    assert least_overlap(10, 20) == 0
