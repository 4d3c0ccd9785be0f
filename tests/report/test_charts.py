from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.evaluation.slices import Slice
from ragkit.report import charts, style
from tests.evaluation.example_evidence import make_evidence

SLICES = [
    Slice("length", "short", "nDCG@10", 30, Interval(-0.1, -0.2, -0.05)),
    Slice("length", "long", "nDCG@10", 30, Interval(0.1, 0.05, 0.2)),
    Slice("language", "en", "nDCG@10", 60, Interval(0.0, -0.1, 0.1)),
]


def test_a_title_says_what_to_see(comparison):
    assert "share 83%" in charts.overlap_histogram(comparison).axes[0].get_title()
    assert "1 questions gain, 1 lose" in charts.change_per_question(comparison).axes[0].get_title()
    assert "1 rose and 1 fell" in charts.rank_slopes(comparison).get_suptitle()


def test_the_legend_of_the_latency_has_the_95th_percentile(comparison):
    legend = charts.latency_cdf(comparison).axes[0].get_legend()
    assert "new-model, p95 1.0 ms" in [text.get_text() for text in legend.get_texts()]


def test_the_forest_has_every_slice_and_its_significance(comparison):
    axes = charts.forest(make_evidence(comparison, slices=SLICES)).axes[0]
    assert axes.get_title() == (
        "Of 3 slices 1 gain significantly, 1 lose significantly, 1 are undecided"
    )
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == [
        "all questions (2)", "length: short (30)", "length: long (30)", "language: en (60)",
    ]  # fmt: skip
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours == [style.LOSS, style.GAIN, style.OLD]
    assert charts.forest(make_evidence(comparison)) is None
