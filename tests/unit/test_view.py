"""What notebooks draw: each display has its HTML and its text, and nothing is drawn twice."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ragkit.app.probe import summary
from ragkit.comparison.compare import Comparison
from ragkit.comparison.cutoff import Cutoff, Recalled
from ragkit.comparison.index_share import Point
from ragkit.comparison.metrics import Interval
from ragkit.comparison.neighbours import Changed
from ragkit.comparison.questions import Judged
from ragkit.comparison.shadowed import Shadowed
from ragkit.comparison.slices import Slice
from ragkit.comparison.variants import Variant
from ragkit.errors import GateError
from ragkit.migration.backfill import Progress
from ragkit.migration.index import IndexState
from ragkit.migration.status import Status
from ragkit.migration.verdict import Gate, Verdict
from ragkit.view import charts, pictures, results, show, style, vectors
from tests.evidence import NEAR, asked, evidence

ROWS = [str(n) for n in range(12)]
JUDGED = Judged({"q1": "tea <b>", "q2": "nap", "q3": "ski"}, {"q1": {"0": 3}, "q2": {"1": 2}})


@pytest.fixture
def comparison() -> Comparison:
    old = {"q1": ROWS[:10], "q2": ROWS[2:12], "q3": ROWS[:10]}
    new = {"q1": ROWS[2:12], "q2": ROWS[:10], "q3": ROWS[1:11]}
    return asked(JUDGED, old, new)


@pytest.fixture
def verdict() -> Verdict:
    gates = [Gate("a", "1", "≥ 1", True), Gate("b", "0", "≥ 1", False), Gate("c", "?", "≥ 1", None)]
    return Verdict.of(gates, {})


@pytest.fixture(autouse=True, scope="module")
def shell():
    """Without one, display() only prints."""
    yield InteractiveShell.instance()
    InteractiveShell.clear_instance()


def shown(call, *arguments) -> tuple[str, str]:
    """(HTML, text) of everything that a call displays."""
    with capture_output() as captured:
        call(*arguments)
    assert "Traceback" not in captured.stderr  # a display that fails is only printed
    data = [output.data for output in captured.outputs]
    html = " ".join(d.get("text/html", "") for d in data)
    return html, " ".join(d.get("text/plain", "") for d in data) + captured.stdout


def test_the_status_card():
    card = Status("public.t: a -> b", "expanded", 12_400, 50_000, 3, 0, 2, None, "go on <b>")
    html, text = shown(show.card, card)
    assert "12,400 of 50,000 (3 without text)" in text
    assert "the app does not answer" in text
    assert "go on &lt;b&gt;" in html


def test_a_backfill_is_one_display_and_a_line_each_tenth():
    steps = [Progress(n, 100, 5.0, n / 5) for n in range(101)]
    with capture_output() as captured:
        show.progress(iter(steps))
    assert sum(not output.update for output in captured.outputs) == 1
    lines = captured.stdout.splitlines()
    assert lines[0] == "starting from 0 of 100"
    assert lines[-1] == "100 of 100 rows (100%), 5 rows/s"
    assert len(lines) == 12
    assert "50 of 100 rows (50%), 5 rows/s, 10 s to go" in lines


def test_records_and_tables_are_readable():
    html, _ = shown(show.record, IndexState("i", True, False, 524_288))
    assert all(word in html for word in ("exists", "yes", "no", "524.3 kB"))
    html, _ = shown(show.table, [Gate("g", "1", "2", True)])
    assert "observed" in html
    assert "none" in shown(show.table, [])[1]


def test_the_gate_table_has_the_verdict_on_top(verdict):
    html, _ = shown(results.verdict, verdict)
    assert "NO-GO" in html
    assert (
        html.index("NO-GO") < html.index("passed") < html.index("failed") < html.index("undecided")
    )


def test_figures_and_losses(comparison):
    html, text = shown(results.figures, evidence(comparison))
    assert "old-model" in html
    assert all(figure in html for figure in ("0.500", "0.315", "-0.185"))  # nDCG by hand
    assert html.count("<table") == 1
    assert "2 judged questions" in text
    assert "Over 3 questions both models share" in text
    assert "No questions were asked" in shown(results.figures, evidence())[1]
    html, text = shown(results.losses, comparison)
    assert text.count("nDCG@10 -1.000") == 1
    assert "tea &lt;b&gt;" in html
    assert "&lt;i&gt;text&lt;/i&gt; 0" in html
    assert "grade 3" in html


def test_titles_say_what_to_see(comparison):
    assert "share 83%" in charts.overlap_histogram(comparison).axes[0].get_title()
    assert "1 questions gain, 1 lose" in charts.change_per_question(comparison).axes[0].get_title()
    assert "1 rose and 1 fell" in charts.rank_slopes(comparison).get_suptitle()
    legend = charts.latency_cdf(comparison).axes[0].get_legend()
    assert "new-model, p95 1.0 ms" in [t.get_text() for t in legend.get_texts()]


SLICES = [
    Slice("length", "short", "nDCG@10", 30, Interval(-0.1, -0.2, -0.05)),
    Slice("length", "long", "nDCG@10", 30, Interval(0.1, 0.05, 0.2)),
    Slice("language", "en", "nDCG@10", 60, Interval(0.0, -0.1, 0.1)),
]


def test_the_forest_shows_every_slice_and_what_is_sure(comparison):
    axes = charts.forest(evidence(comparison, slices=SLICES)).axes[0]
    assert axes.get_title() == "Of 3 slices 1 surely gain, 1 surely lose, 1 are open"
    labels = [tick.get_text() for tick in axes.get_yticklabels()]
    assert labels == ["all questions (2)", "length: short (30)", "length: long (30)",
                      "language: en (60)"]  # fmt: skip
    colours = [line.get_color() for line in axes.lines if line.get_marker() == "o"]
    assert colours == [style.LOSS, style.GAIN, style.OLD]
    assert charts.forest(evidence(comparison)) is None


POINTS = [
    Point("old", "a", "exact", True, Interval(1.0, 1.0, 1.0), 30.0, 40.0),
    Point("new", "b", "exact", False, Interval(1.0, 1.0, 1.0), 50.0, 60.0),
    Point("new", "b", "hnsw.ef_search = 10", False, Interval(0.8, 0.7, 0.9), 1.0, 2.0),
    Point("new", "b", "hnsw.ef_search = 40", True, Interval(0.95, 0.9, 1.0), 2.0, 3.0),
]


def test_the_index_has_a_curve_and_a_table():
    axes = vectors.recall_latency(POINTS).axes[0]
    assert axes.get_title().startswith("At hnsw.ef_search = 40 the new index finds 95.0% of")
    assert axes.get_xscale() == "log"
    curve = next(line for line in axes.lines if len(line.get_xdata()) == 2)
    assert list(curve.get_ydata()) == [0.8, 0.95]
    html, _ = shown(results.index, POINTS)
    assert html.count("<tr") == 5
    assert "0.900 to 1.000" in html
    assert vectors.recall_latency(POINTS[:1]) is None
    assert vectors.recall_latency(POINTS[:2]) is None  # no index yet


def test_both_cut_offs_are_in_the_picture():
    distances = np.linspace(0.1, 1.0, 50)
    recalled = Recalled(Interval(0.7, 0.6, 0.8), 0.9, 20)
    found = Cutoff(0.5, Interval(0.65, 0.64, 0.66), 0.0021, distances, distances, recalled)
    figure = vectors.cutoffs(found)
    assert "0.5 lets 0.21% of the pairs through" in figure.get_suptitle()
    below = [text.get_text().strip() for text in figure.axes[1].texts]
    assert below == ["0.650", "0.700: as many relevant rows (90%)"]


def test_storage_and_shadow_in_words():
    found = [Variant("halfvec(8)", Interval(0.9, 0.8, 1.0), 50, 24, None)]
    html, text = shown(results.variants, found)
    assert "HNSW does not take it" in html
    assert "Measured on 50 rows" in text
    heard = Shadowed(100, 2, 3, Interval(0.5, 0.4, 0.6), 10.0, 20.0, "ModelBusy: later")
    _, text = shown(results.shadow, heard)
    assert "100 live questions were asked of both models, 2 failed in the shadow, 3 more" in text
    assert "50% (0.40 to 0.60) of the same rows; p95 10 ms, in the shadow 20 ms" in text
    assert "The commonest error: ModelBusy: later" in text


def test_neighbours_are_told_with_their_intervals_and_texts():
    worst = [Changed("Tea Room", "Tea and <cake>.", 0.1, "A, B", "C, D")]
    html, text = shown(results.neighbours, replace(NEAR, worst=worst))
    assert "50 rows of different texts (2 more say the same as one of them)" in text
    assert "linear CKA 0.70 (0.60 to 0.80)" in text
    assert "of other dimensions" in text
    assert "Tea and &lt;cake&gt;." in html


def test_a_chart_is_a_picture_with_its_title_as_alternative_text(comparison):
    html, text = shown(show.chart, charts.rank_slopes, comparison)
    assert html.startswith('<img alt="Of 2 best-judged rows 1 rose and 1 fell" src="data:image/png')
    assert "1 rose and 1 fell" in text


def test_pictures_of_a_run(verdict):
    assert "NO-GO" in pictures.gate_table(verdict).axes[0].get_title(loc="left")
    frame = pd.DataFrame({"due": [0.0, 1.0], "ms": [5.0, 7.0], "model": ["o", "n"],
                          "status": [200, 200], "error": [None, None]})  # fmt: skip
    figure = pictures.timeline(frame, summary(frame), [("x", 0, 1), ("before", -9, -5)], old="o")
    assert "2 requests through the whole migration, 0 failed" in figure.axes[0].get_title()
    assert [t.get_text() for t in figure.axes[0].texts] == ["x"]


def test_an_error_is_one_line_in_a_notebook():
    assert GateError("NO-GO: a")._render_traceback_() == ["GateError: NO-GO: a"]
