import json

from ragkit.runbook.rescue.report import figures, write_rescue
from ragkit.runbook.rescue.steps import RescueRun
from tests.runbook.rescue.conftest import GONE

NAMES = {
    "pairs", "method", "quality_estimated", "quality_measured", "seconds_to_first_answer",
    "latency_ms", "texts_bought_per_request", "map_ms", "refused", "quality_by_pairs",
}  # fmt: skip


def test_what_is_not_known_is_null(down):
    rescue = RescueRun(down(GONE, "rescue.pairs=0"))
    known = figures(rescue)
    assert known.keys() > NAMES
    assert known["refused"] == "rescue.pairs is 0"
    assert known["seconds_to_first_answer"] is known["quality_measured"] is known["map_ms"] is None
    page = write_rescue(rescue)
    assert json.loads(page.read_text()) == known
    assert page.stat().st_mode & 0o077 == 0 or page.parent.stat().st_mode & 0o077 == 0
