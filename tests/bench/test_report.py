"""The table, the page, the chart, and the profile that explains a missed goal."""

import pytest

from tests.bench import report
from tests.bench.contenders import Run
from tests.bench.figures import Figure, Goal
from tests.bench.scenarios import Sizes

FIGURES = [
    Figure(Goal("faster", 4, "x"), [5.0, 6.0, 7.0], "a profile"),
    Figure(Goal("slower", 4, "x"), [1.0, 2.0, 3.0], "half of it | waits"),
    Figure(Goal("smaller", 2, "x", at_most=True), [1.0], ""),
    Figure(Goal("gone", 4, "x"), [], "not installed"),
    Figure(Goal("overhead", 2, "x", at_most=True), [-3.0, -1.0, 1.0], ""),
]
RUNS = [
    Run("column", n, 0, {
        "rows": 1000, "seconds": 2.0, "cpu_seconds": 0.5, "server_cpu_seconds": 1.0,
        "requests": 20, "in_flight": 3.0, "slowdowns": 0, "waits for Lock:object": 0.75,
        "waits for CPU": 0.25,
    })
    for n in range(2)
]  # fmt: skip


def test_the_table_goes_between_the_markers_and_nothing_else_changes(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- bench -->\nold\n<!-- end of bench -->\nafter\n")
    written = {"figures": {f.goal.name: f.as_json() for f in FIGURES}, "seconds": 60.0,
               "environment": report.environment()}  # fmt: skip
    for _ in range(2):  # the second time replaces the first
        report.write_page(written, page)
    text = page.read_text()
    assert text.startswith("before\n<!-- bench -->\n")
    assert text.endswith("<!-- end of bench -->\nafter\n")
    assert "old" not in text
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [
        "| `faster` | ≥ 4 | 5 | 6 | 7 | passed |",
        "| `slower` | ≥ 4 | 1 | 2 | 3 | missed: half of it / waits |",
        "| `smaller` | ≤ 2 | 1 | 1 | 1 | passed |",
        "| `gone` | ≥ 4 | – | – | – | absent: not installed |",
        "| `overhead` | ≤ 2 | -3 | -1 | 1 | passed |",
    ]


def test_the_page_has_its_markers():
    assert report.MARKED.search(report.PAGE.read_text(encoding="utf-8"))


def test_the_profile_says_where_the_time_went():
    assert report.profile(RUNS) == (
        "500 rows/s; client CPU 25 %; server CPU 50 %; the server's sessions: Lock:object 75 %, "
        "CPU 25 %; 50 texts a request; 3.0 in flight"
    )
    assert report.profile([]) == ""


def test_an_overhead_below_nothing_is_marked_at_the_edge_of_the_chart():
    (axes,) = report.draw(FIGURES[-1:]).axes
    assert [line.get_xdata()[0] for line in axes.lines if line.get_marker() == ">"] == [100.0]


def test_the_chart_counts_times_the_goal_so_that_more_is_better(tmp_path):
    picture = report.draw(FIGURES[:3])
    marks = [line.get_xdata()[0] for line in picture.axes[0].lines if line.get_marker() == "o"]
    assert marks == pytest.approx([2.0, 0.5, 1.5])  # from below: 2 / 1, 2 / 4, 6 / 4
    file = report.write(tmp_path, FIGURES, {"part": RUNS}, Sizes(), 1.0)
    assert (tmp_path / "bench.png").exists()
    assert file.read_text().count('"contender": "column"') == 2
