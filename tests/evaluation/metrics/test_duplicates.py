from hypothesis import given
from hypothesis import strategies as st

from ragkit.evaluation.metrics import rank_overlap, trec
from ragkit.evaluation.metrics.duplicates import duplicate_groups, order_duplicates

TEXTS = {"1": "same", "2": "same", "3": "same", "4": "alone", "5": "pair", "6": "pair", "7": " "}
GROUPS = duplicate_groups(TEXTS | {"8": ""})
QRELS = {"q": {"2": 3, "4": 1}}


def test_rows_with_the_same_text_are_grouped_and_blank_ones_are_not():
    assert GROUPS["2"] == ["1", "2", "3"]
    assert sorted(GROUPS) == ["1", "2", "3", "5", "6"]


@given(st.permutations(["1", "2", "3", "4", "5", "6"]), st.integers(1, 6))
def test_exchanging_duplicates_changes_no_metric(rows, depth):
    """Each row is replaced by another row of its group, in any order."""
    rankings = {"q": rows[:depth]}
    replacements = {id(group): list(reversed(group)) for group in GROUPS.values()}
    exchanged = {
        "q": [
            replacements[id(GROUPS[row])].pop(0) if row in GROUPS else row for row in rankings["q"]
        ]
    }
    first = order_duplicates(rankings, GROUPS, QRELS)
    second = order_duplicates(exchanged, GROUPS, QRELS)
    assert first == second
    assert len(set(first["q"])) == depth
    assert rank_overlap.overlap(first, second, 6)["q"] == 1


def test_the_best_judged_duplicate_is_first():
    assert order_duplicates({"q": ["1", "4", "3"]}, GROUPS, QRELS) == {"q": ["2", "4", "1"]}
    ordered = order_duplicates({"q": ["3", "1", "4"]}, GROUPS, QRELS)
    assert trec.score_questions(QRELS, ordered, 10)["MRR@10"]["q"] == 1


def test_without_duplicates_the_order_stays():
    rankings = {"q": ["4", "7"]}
    assert order_duplicates(rankings, duplicate_groups({"4": "a", "7": "b"}), {}) is rankings
