"""A short chaos proof, for every run of the tests: fewer rows and requests, all the faults."""

import json
import subprocess

import pytest

from tests.chaos.__main__ import INVARIANTS, MAX_WAIT_MS
from tests.conftest import PYTHON, ROOT, environment


@pytest.mark.timeout(400)
def test_no_invariant_breaks_under_traffic_and_faults(tmp_path):
    process = subprocess.run(
        [PYTHON, "-m", "tests.chaos", "1000", str(tmp_path), "20"],
        env=environment(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=380,
    )  # fmt: skip
    (folder,) = tmp_path.glob("chaos-*")
    assert (folder / "chaos.json").exists(), process.stdout + process.stderr
    figures = json.loads((folder / "chaos.json").read_text())
    invariants = {name: figures[name] for name in INVARIANTS}
    assert invariants == dict.fromkeys(INVARIANTS, 0), figures["why"]
    assert process.returncode == 0
    assert figures["requests"] > 1000
    assert figures["writes"] > 1000
    assert figures["transactions_of_several_rows"] > 1000
    assert figures["writes_of_other_rows"] > 500
    assert figures["p99_wait_of_other_rows_ms"] < MAX_WAIT_MS
    assert {fault["phase"] for fault in figures["faults"]} == {
        "expand", "backfill", "index", "follow", "compare", "cut over", "roll back", "retire",
    }  # fmt: skip
    assert (folder / "timeline.png").exists()
