from hypothesis import given
from hypothesis import strategies as st

from ragkit.comparison import agreement, metrics
from ragkit.comparison.duplicates import groups, settle

TEXTS = {"1": "same", "2": "same", "3": "same", "4": "alone", "5": "pair", "6": "pair", "7": " "}
ALIKE = groups(TEXTS | {"8": ""})
QRELS = {"q": {"2": 3, "4": 1}}


def test_rows_of_one_text_stand_together_and_empty_ones_alone():
    assert ALIKE["2"] == ["1", "2", "3"]
    assert sorted(ALIKE) == ["1", "2", "3", "5", "6"]


@given(st.permutations(["1", "2", "3", "4", "5", "6"]), st.integers(1, 6))
def test_a_swap_of_duplicates_changes_no_figure(rows, depth):
    """Each row replaced by another of its text, in any order."""
    run = {"q": rows[:depth]}
    spare = {key: list(reversed(group)) for key, group in ALIKE.items()}
    pools = {id(group): list(reversed(group)) for group in ALIKE.values()}
    swapped = {"q": [pools[id(ALIKE[r])].pop(0) if r in spare else r for r in run["q"]]}
    one, other = settle(run, ALIKE, QRELS), settle(swapped, ALIKE, QRELS)
    assert one == other
    assert len(set(one["q"])) == depth
    assert agreement.overlap(one, other, 6)["q"] == 1


def test_the_best_judged_stands_first_for_both_models():
    assert settle({"q": ["1", "4", "3"]}, ALIKE, QRELS) == {"q": ["2", "4", "1"]}
    found = metrics.per_question(QRELS, settle({"q": ["3", "1", "4"]}, ALIKE, QRELS), 10)
    assert found["MRR@10"]["q"] == 1


def test_without_duplicates_nothing_moves():
    run = {"q": ["4", "7"]}
    assert settle(run, groups({"4": "a", "7": "b"}), {}) is run
