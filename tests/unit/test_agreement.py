import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragkit.comparison import agreement

rows = st.lists(st.sampled_from("abcdefghijkl"), unique=True, max_size=12)


@given(rows.filter(bool), rows, st.floats(0.5, 0.95))
def test_rank_biased_overlap_is_a_symmetric_share(old, new, p):
    one, other = agreement.rank_biased(old, new, p), agreement.rank_biased(new, old, p)
    assert one == pytest.approx(other)
    assert -1e-9 <= one <= 1 + 1e-9
    assert agreement.rank_biased(old, old, p) == pytest.approx(1)


def test_rank_biased_overlap_weighs_the_first_rows_most():
    old = list("abcdefghij")
    early, late = [*"bacdefghij"], [*"abcdefghji"]
    assert agreement.rank_biased(old, early) < agreement.rank_biased(old, late) < 1
    assert agreement.rank_biased(old, [*"klmnopqrst"]) == 0


@given(rows.filter(bool), rows)
def test_overlap_is_a_share_and_symmetric_for_full_lists(old, new):
    found = agreement.overlap({"q": old}, {"q": new}, 12)["q"]
    assert 0 <= found <= 1
    assert agreement.overlap({"q": old}, {"q": old[::-1]}, 12)["q"] == 1


def tau_b(old, new):
    """From its definition (Kendall 1945): ties count in the denominator alone."""
    union = sorted({*old, *new})
    a, b = ([side.index(r) if r in side else len(side) for r in union] for side in (old, new))
    pairs = [(i, j) for i in range(len(union)) for j in range(i)]
    signs = [((a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])) for i, j in pairs]
    untied = [sum(sign[side] != 0 for sign in signs) for side in (0, 1)]
    return sum(x * y for x, y in signs) / (untied[0] * untied[1]) ** 0.5


@given(rows.filter(lambda r: len(r) > 1), rows.filter(lambda r: len(r) > 1))
def test_kendalls_tau_agrees_with_its_definition(old, new):
    found = agreement.kendall({"q": old}, {"q": new}, 12)["q"]
    assert found == pytest.approx(tau_b(old, new))


def test_kendalls_tau_at_its_ends():
    old = list("abcde")
    runs = {"same": old, "turned": old[::-1], "other": list("vwxyz"), "empty": []}
    found = agreement.kendall(dict.fromkeys(runs, old), runs, 5)
    assert (found["same"], found["turned"], found["empty"]) == (1, pytest.approx(-1), 0)
    assert found["other"] < 0
