from dataclasses import replace

from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.slices import Slice
from ragkit.report import charts, style
from tests.evaluation.example_evidence import NEIGHBOURHOODS, make_comparison, make_evidence

SLICES = [
    Slice("length", "short", "nDCG@10", 30, Interval(-0.1, -0.2, -0.05)),
    Slice("length", "long", "nDCG@10", 30, Interval(0.1, 0.05, 0.2)),
    Slice("language", "en", "nDCG@10", 60, Interval(0.0, -0.1, 0.1)),
]


def test_a_title_says_what_to_see(comparison):
    evidence = make_evidence(comparison)
    assert "share 83%" in style.title_of(charts.overlap_histogram(evidence))
    change = style.title_of(charts.change_per_question(comparison))
    assert change == ("1 questions gain, 1 lose and 0 stay; the mean change of nDCG@10 is -0.185")
    latency = style.title_of(charts.latency_cdf(comparison))
    assert "within 1.0 ms with the old model, and within 1.0 ms with the new one" in latency


def test_a_chart_that_would_say_nothing_is_a_sentence(comparison):
    few_rows = make_evidence(comparison, neighbourhoods=replace(NEIGHBOURHOODS, rows=9))
    assert charts.overlap_histogram(few_rows) == (
        "No chart of the rows that both models share: the table has so few rows that the first 10 "
        "of any two models share at least 90%."
    )
    same = make_comparison(comparison.questions, *[comparison.new.rankings] * 2)
    assert charts.overlap_histogram(make_evidence(same)) == (
        "For every question the models share 100% of their first 10 rows."
    )
    assert charts.change_per_question(same) == (
        "nDCG@10 is the same with both models for all 2 judged questions."
    )
    assert charts.overlap_histogram(make_evidence()) is None


def test_the_legend_of_the_latency_has_the_95th_percentile(comparison):
    (legend,) = charts.latency_cdf(comparison).legends
    assert "new-model, p95 1.0 ms" in [text.get_text() for text in legend.get_texts()]


def test_the_forest_has_every_slice_and_its_significance(comparison):
    figure = charts.forest(make_evidence(comparison, slices=SLICES))
    axes = figure.axes[0]
    assert style.title_of(figure) == (
        "Of 3 slices 1 gain significantly, 1 lose significantly, and 1 are undecided"
    )
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == [
        "all questions (2)", "length: short (30)", "length: long (30)", "language: en (60)",
    ]  # fmt: skip
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours == [style.LOSS, style.GAIN, style.OLD]
    assert charts.forest(make_evidence(comparison)) is None
