import pandas as pd

from ragkit.deploy.probe import summary
from ragkit.report import pictures
from ragkit.report.style import title_of


def test_the_gate_table_is_titled_with_the_verdict(verdict):
    assert "NO-GO" in pictures.gate_table(verdict).axes[0].get_title(loc="left")


def test_the_timeline_has_the_phases_of_the_probe():
    requests = pd.DataFrame(
        {
            "due": [0.0, 1.0],
            "ms": [5.0, 7.0],
            "model": ["old", "new"],
            "status": [200, 200],
            "error": [None, None],
        }
    )
    phases = [("backfill", 0, 1), ("before the first request", -9, -5)]
    figure = pictures.timeline(requests, summary(requests), phases, "old")
    assert "2 requests through the whole migration, 0 failed" in title_of(figure)
    assert [text.get_text() for text in figure.axes[0].texts] == ["backfill"]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["served by old", "served by new"]


def test_a_phase_has_as_much_of_its_name_as_fits():
    requests = pd.DataFrame(
        {
            "due": [0.0, 100.0],
            "ms": [5.0, 7.0],
            "model": ["old", "old"],
            "status": [200, 200],
            "error": [None, None],
        }
    )
    phases = [("01_inspect", 0, 1), ("02_backfill", 1, 10), ("03_compare", 10, 100)]
    figure = pictures.timeline(requests, summary(requests), phases, "old", pictures.NARROW)
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert labels == ["", "02", "03_compare"]
