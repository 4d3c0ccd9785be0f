import pandas as pd

from ragkit.deploy.probe import summary
from ragkit.report import pictures


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
    axes = pictures.timeline(requests, summary(requests), phases, "old").axes[0]
    assert "2 requests through the whole migration, 0 failed" in axes.get_title()
    assert [text.get_text() for text in axes.texts] == ["backfill"]
    legend = [text.get_text() for text in axes.get_legend().get_texts()]
    assert legend == ["served by old", "served by new"]
