"""scale.json, and its tables in the documentation.

python -m tests.scale.report runs/scale-…/scale.json      # writes the tables into the page
"""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Goal
from tests.bench.report import PAGE

MARKED = re.compile(r"(<!-- scale -->\n).*?(<!-- end of scale -->)", re.DOTALL)
MEANINGS = {
    "filled_once": "rows that were written exactly once",
    "filled_more": "rows that were written more than once",
    "pending": "rows without a vector at the end",
    "calls_paid_twice": "requests with a row that an earlier one had",
    "kills": "SIGKILL of a worker, and of the scheduler",
    "quota_error": "difference between the rate and the quota, as a share, while nothing is done",
    "quota_excess": "more requests in the busiest 10 s than the quota has, as a share",
    "pause_seconds_to_effect": "from `ragkit control pause` to the last request",
    "progress_ahead": "how far the told share was ahead of the table",
    "progress_behind": "how far it was behind, as when a count was due",
    "throughput_vs_local": "rows/s of three workers ÷ those of one process, without a quota",
}


def goals(figures: Mapping[str, Any]) -> list[Goal]:
    rows, twice = figures["rows"], figures["calls_allowed_twice"]
    return [
        Goal("filled_once", rows, ""), Goal("filled_more", 0, "", at_most=True),
        Goal("pending", 0, "", at_most=True), Goal("kills", 2, ""),
        Goal("calls_paid_twice", twice, "", at_most=True),
        Goal("quota_error", 0.02, "", at_most=True), Goal("quota_excess", 0.02, "", at_most=True),
        Goal("pause_seconds_to_effect", 1.0, "", at_most=True),
        Goal("progress_ahead", 0.05, "", at_most=True),
    ]  # fmt: skip


def missed(figures: Mapping[str, Any]) -> list[str]:
    return [
        f"{goal.name} {goal}: {figures[goal.name]:g}"
        for goal in goals(figures)
        if not goal.is_met(figures[goal.name])
    ]


def tables(report: Mapping[str, Any]) -> str:
    figures, machine = report["figures"], report["environment"]
    wanted = {goal.name: str(goal) for goal in goals(figures)}
    seen = [
        [f"`{name}`", meaning, wanted.get(name, ""), f"{figures[name]:,}"]
        for name, meaning in MEANINGS.items()
    ]
    rules = [
        [f"`{name}`", f"{c['foretold']:,}", f"{c['measured']:,}", f"{c['ratio']:.2f}"]
        for name, c in report["checked"].items()
    ]
    planned = [
        [f"{line['rows']:,}", f"{line['hours']:,}", f"${line['usd']:,.0f}", f"{line['workers']}",
         f"{line['connections']}", f"{line['table_gb']:,} GB", f"{line['index_gb']:,} GB",
         f"{line['index_hours']:,}" + ("" if line["index_fits"] else ", or more")]
        for line in report["plan"]
    ]  # fmt: skip
    return "\n\n".join([
        f"{machine['cores']} cores, {machine['memory_gb']} GB, Python {machine['python']}, ragkit "
        f"{machine['ragkit']}; {figures['rows']:,} rows, {report['seconds'] / 60:.0f} minutes.",
        table(["figure", "meaning", "goal", "measured"], seen),
        f"From {report['small']['rows']:,} rows to {figures['rows']:,}, by the rules of "
        "`ragkit rehearse`:",
        table(["figure", "foretold", "measured", "ratio"], rules),
        f"By the same rules, from {report['long']['rows']:,} rows of 768 dimensions by one worker, "
        f"at {report['quota']:,} requests a minute of {report['texts']} texts:",
        table(["rows", "hours", "money", "workers", "connections", "table", "index",
               "hours of the index"], planned),
    ])  # fmt: skip


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main(file: Path) -> None:
    page, text = PAGE.read_text(), tables(json.loads(file.read_text()))
    PAGE.write_text(MARKED.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
