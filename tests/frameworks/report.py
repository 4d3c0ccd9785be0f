"""frameworks.json, and its table in the documentation.

python -m tests.frameworks.report runs/frameworks-…/frameworks.json     # writes the page
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.bench.report import environment
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "frameworks.md"
MARKED = re.compile(r"(<!-- frameworks -->\n).*?(<!-- end of frameworks -->)", re.DOTALL)
COLUMNS = ("rows", "requests", "failed", "stale", "mixed", "missing", "lost", "way", "paused_ms",
           "lines")  # fmt: skip
ZEROS = ("failed", "stale", "mixed", "missing", "lost")
"""What must be 0."""


def write(folder: Path, results: Mapping[str, Mapping[str, Any]]) -> Path:
    file = folder / "frameworks.json"
    report = {"environment": environment(), "frameworks": results}
    file.write_text(json.dumps(report, indent=1) + "\n")
    return file


def table(report: dict[str, Any]) -> str:
    """As Markdown."""
    where = report["environment"]
    lines = [
        f"{where['cores']} cores, Python {where['python']}, ragkit {where['ragkit']}.", "",
        f"| framework | {' | '.join(COLUMNS)} |", f"|---|{'---|' * len(COLUMNS)}",
    ]  # fmt: skip
    for name, found in report["frameworks"].items():
        lines.append(f"| {name} | {' | '.join(str(found.get(c, '–')) for c in COLUMNS)} |")
    return "\n".join(lines) + "\n"


def write_page(report: dict[str, Any], page: Path = PAGE) -> None:
    """Between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(MARKED.sub(lambda m: m[1] + table(report) + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    write_page(json.loads(Path(sys.argv[1]).read_text()))
