"""An app that fuses vectors and words is compared by what it shows."""

import pytest

from ragkit.errors import ConfigError
from ragkit.evaluation.comparison import compare
from ragkit.evaluation.hybrid import lists
from ragkit.evaluation.hybrid.fusion import fuse
from ragkit.evaluation.old_run import OldRun
from tests.conftest import with_plan


def test_both_models_are_compared_by_the_fused_lists(sample, judged, old, new):
    plain = compare(sample, judged, old, new)
    hybrid = with_plan(sample, {"evaluation.text_weight": 0.4})
    fused = compare(hybrid, judged, old, new)
    words = lists.by_words(sample, judged)
    deep = lists.by_vectors(sample, sample.new, plain.new, is_exact=True)
    question = next(q for q in judged.qrels if words[q] and words[q][:10] != deep[q][:10])
    assert set(fused.new.rankings[question]) == set(fuse(deep[question], words[question], 0.4, 10))
    assert fused.old.rankings != plain.old.rankings
    assert fused.new.served.rankings != plain.new.served.rankings
    assert fused.new.exact.distances.keys() == plain.new.exact.distances.keys()


def test_with_full_text_alone_both_models_are_the_same(sample, judged, old, new):
    comparison = compare(with_plan(sample, {"evaluation.text_weight": 1.0}), judged, old, new)
    assert (comparison.old_scores == comparison.new_scores).all(axis=None)
    shown = [q for q, rows in comparison.new.rankings.items() if rows]
    assert len(shown) > 200  # nothing is shown for the others: no row has their words
    assert (comparison.overlap[shown] == 1).all()


def test_the_lists_of_a_log_are_left_as_the_app_fused_them(sample, judged, new):
    logged = OldRun({question: ["3", "1"] for question in judged.texts}, [])
    comparison = compare(with_plan(sample, {"evaluation.text_weight": 0.4}), judged, logged, new)
    assert set(map(tuple, comparison.old.rankings.values())) == {("3", "1")}


def test_a_table_that_cannot_be_searched_by_words_is_told(sample, judged, old, new, monkeypatch):
    monkeypatch.setattr(lists, "MIN_ROWS", 10)
    with pytest.raises(ConfigError, match=r"evaluation\.text_weight is set, but the table is too"):
        compare(with_plan(sample, {"evaluation.text_weight": 0.4}), judged, old, new)
