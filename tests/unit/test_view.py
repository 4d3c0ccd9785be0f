"""What notebooks draw: each display has its HTML and its text, and nothing is drawn twice."""

import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

from ragkit.app.probe import summary
from ragkit.comparison import metrics
from ragkit.comparison.compare import Comparison, Side
from ragkit.comparison.questions import Judged
from ragkit.errors import GateError
from ragkit.migration.backfill import Progress
from ragkit.migration.index import IndexState
from ragkit.migration.status import Status
from ragkit.migration.verdict import Gate, Verdict
from ragkit.view import charts, pictures, results, show

ROWS = [str(n) for n in range(12)]
JUDGED = Judged({"q1": "tea <b>", "q2": "nap", "q3": "ski"}, {"q1": {"0": 3}, "q2": {"1": 2}})


@pytest.fixture
def comparison() -> Comparison:
    old = {"q1": ROWS[:10], "q2": ROWS[2:12], "q3": ROWS[:10]}
    new = {"q1": ROWS[2:12], "q2": ROWS[:10], "q3": ROWS[1:11]}
    scores = [metrics.per_question(JUDGED.qrels, run, 10) for run in (old, new)]
    latency = np.array([1.0, 2.0, 3.0])
    return Comparison(
        10, JUDGED, Side("old-model", old, latency), Side("new-model", new, latency * 4),
        *scores, metrics.overlap(old, new, 10), metrics.rbo(old, new, 10),
        {row: f"Row {row}" for row in ROWS}, {row: f"<i>text</i> {row}" for row in ROWS},
    )  # fmt: skip


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
    html, text = shown(results.figures, comparison, 1)
    assert "old-model" in html
    assert all(figure in html for figure in ("0.500", "0.315", "-0.185"))  # nDCG by hand
    assert html.count("<table") == 1
    assert "2 judged questions" in text
    assert "Over 3 questions both models share" in text
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
    assert "new-model, p95 11.6 ms" in [t.get_text() for t in legend.get_texts()]


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
