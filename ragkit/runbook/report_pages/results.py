"""The files of figures that the steps write themselves: comparison.json and verdict.json."""

import json
from pathlib import Path
from typing import Any

from ragkit.migration.cutover import TrafficSwitch
from ragkit.migration.verdict import Verdict
from ragkit.runbook.parameters import make_private

COMPARISON, VERDICT = "comparison.json", "verdict.json"


def write_comparison(run_dir: Path, verdict: Verdict) -> Path:
    """The verdict, the gates, every figure with its interval, the seed."""
    return write_json(run_dir, COMPARISON, verdict.as_json())


def write_verdict(run_dir: Path, verdict: Verdict, switch: TrafficSwitch) -> Path:
    """The same, what serves now and what it answered."""
    answer = json.loads(switch.answer) if switch.answer else None
    body = {**verdict.as_json(), "serving": switch.revision.model, "answer": answer}
    return write_json(run_dir, VERDICT, body)


def write_json(run_dir: Path, name: str, body: dict[str, Any]) -> Path:
    """Raises ValueError for a number that JSON does not have."""
    path = make_private(run_dir) / name
    text = json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")
    return path
