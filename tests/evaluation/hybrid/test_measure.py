"""The sample: its questions share few words with their rows, and full text alone finds less."""

import pytest

from ragkit.evaluation.comparison import compare
from ragkit.evaluation.hybrid import lists
from ragkit.evaluation.hybrid.measure import WEIGHTS, measure_hybrid
from ragkit.evaluation.metrics import trec
from ragkit.report import charts, tables
from ragkit.report.style import title_of
from tests.conftest import with_plan


@pytest.fixture
def comparison(sample, judged, old, new):
    return compare(sample, judged, old, new)


def test_the_ends_of_the_curve_are_vectors_and_words_alone(sample, comparison, judged):
    found = measure_hybrid(sample, comparison)
    assert (found.metric, found.n) == ("nDCG@10", 280)
    assert found.old.alone == pytest.approx(comparison.old_scores["nDCG@10"].mean(), abs=0.01)
    assert found.new.alone == pytest.approx(comparison.new_scores["nDCG@10"].mean(), abs=0.01)
    words = lists.by_words(sample, judged)
    alone = trec.score_questions(judged.qrels, words, 10)["nDCG@10"].mean()
    assert found.text_alone == found.old.curve[-1] == pytest.approx(alone)
    for side in (found.old, found.new):
        assert max(side.curve) == side.curve[WEIGHTS.index(side.weight)]
        assert side.fused <= max(side.curve)  # a choice by other questions
        assert side.fused - side.alone == pytest.approx(side.gain.mean)
        assert side.gain.low <= side.gain.mean <= side.gain.high


def test_the_page_says_which_weight_the_new_model_wants(sample, comparison, shown):
    found = measure_hybrid(with_plan(sample, {"evaluation.text_weight": 0.5}), comparison)
    assert found.at_app_weight == found.new.curve[5]
    assert f"best at a text weight of {found.new.weight:g}" in title_of(charts.hybrid(found))
    _, text = shown(tables.hybrid, found)
    assert f"The new model wants a text weight of {found.new.weight:g}" in text
    assert "Your app uses 0.5" in text
    assert ("beats both models" in text) == (
        found.new.gain.low > 0 and found.new.fused > found.old.alone
    )
    assert shown(tables.hybrid, None) == ("", "")


def test_a_large_table_without_a_text_column_is_not_searched_by_words(
    sample, comparison, monkeypatch
):
    monkeypatch.setattr(lists, "MIN_ROWS", 10)
    assert measure_hybrid(sample, comparison) is None
    with sample.engine.begin() as connection:
        connection.exec_driver_sql(
            """alter table "Amenities" add words tsvector
            generated always as (to_tsvector('english', content)) stored"""
        )
    assert measure_hybrid(sample, comparison).text_alone > 0.1
