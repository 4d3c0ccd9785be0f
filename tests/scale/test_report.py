import pandas as pd

from tests.scale import report
from tests.scale.large import Phases, by_phase, by_time

LARGE = {
    "environment": {"cores": 2, "memory_gb": 23.5, "ragkit": "0.2.0", "python": "3.11"},
    "shared_buffers": "6144MB",
    "rows": 1000, "index_seconds": 30.0, "requests": 4, "failed": 1,
    "backfill": [{"slow_factor": 1.5, "rows": 1000, "seconds": 60.0}],
}  # fmt: skip


def requests():
    rows = [(100.0, 5.0, None), (104.0, 7.0, None), (111.0, 90.0, "status 500"), (112.0, 9.0, None)]
    return pd.DataFrame(rows, columns=["due", "ms", "error"])


def phases():
    told = Phases()
    told.begun = [(99.0, "before"), (110.0, "backfill")]
    told.rows = [(110.5, 10), (118.0, 400)]
    return told


def test_requests_are_counted_by_phase_and_by_time():
    before, backfill = by_phase(requests(), phases())
    assert (before["phase"], before["requests"], before["failed"]) == ("before", 2, 0)
    assert (backfill["failed"], backfill["max_ms"]) == (1, 90.0)
    lines = by_time(requests(), phases())
    assert lines["seconds"].tolist() == [0, 10]
    assert lines["rows"].tolist() == [0, 400]
    assert lines["phase"].tolist() == ["before", "backfill"]


def test_the_table_of_a_large_run_has_a_line_for_each_phase():
    text = report.large_tables({**LARGE, "phases": by_phase(requests(), phases())})
    assert "1,000 rows beside a live HNSW, their index in 0.5 minutes, 4 requests, 1" in text
    assert "| 1.5 | 1,000 | 1.0 | 17 |" in text
    assert text.splitlines()[-1] == "| backfill | 2 | 1 | 49.5 | 86 | 90 |"
