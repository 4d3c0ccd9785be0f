"""A shorter part of the proof, for every run of the tests: fewer rows, all the faults."""

import json
import subprocess

import pytest

from tests.conftest import PYTHON, ROOT, environment

ZERO = ("failed_requests", "stale_vectors", "pending", "lost_writes", "lock_waits_over_limit")


@pytest.mark.timeout(400)
def test_no_invariant_breaks_under_traffic_and_faults(tmp_path):
    done = subprocess.run(
        [PYTHON, "-m", "tests.chaos", "3000", str(tmp_path)],
        env=environment(), cwd=ROOT, capture_output=True, text=True, check=False, timeout=380,
    )  # fmt: skip
    (folder,) = tmp_path.glob("chaos-*")
    assert (folder / "chaos.json").exists(), done.stdout + done.stderr
    found = json.loads((folder / "chaos.json").read_text())
    assert {name: found[name] for name in ZERO} == dict.fromkeys(ZERO, 0), found["why"]
    assert done.returncode == 0
    assert found["requests"] > 1000
    assert found["writes"] > 1000
    assert {fault["phase"] for fault in found["faults"]} == {
        "expand", "backfill", "index", "follow", "compare", "cut over", "roll back", "retire",
    }  # fmt: skip
    assert (folder / "timeline.png").exists()
