"""The tables of a run in the documentation, and the log of a large run's probe beside them.

python -m tests.scale.report runs/scale-…/scale.json
python -m tests.scale.report runs/large-…/large.json
"""

import json
import re
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.figures import Goal
from tests.bench.report import PAGE
from tests.conftest import ROOT

MARKED = r"(<!-- {0} -->\n).*?(<!-- end of {0} -->)"
PROBE_LOG = ROOT / "docs" / "large-run" / "probe.csv"
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
    machine, minutes = report["environment"], report["total_seconds"] / 60
    wanted = {goal.name: str(goal) for goal in goals(report)}
    seen = [
        [f"`{name}`", meaning, wanted.get(name, ""), f"{report[name]:,}"]
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
        f"{machine['ragkit']}; {report['rows']:,} rows, {minutes:.0f} minutes.",
        table(["figure", "meaning", "goal", "measured"], seen),
        f"From {report['small']['rows']:,} rows to {report['rows']:,}, by the rules of "
        "`ragkit rehearse`:",
        table(["figure", "foretold", "measured", "ratio"], rules),
        f"By the same rules, from {report['long']['rows']:,} rows of 768 dimensions by one worker, "
        f"at {report['quota']:,} requests a minute of {report['texts']} texts:",
        table(["rows", "hours", "money", "workers", "connections", "table with both", "index",
               "hours of the index"], planned),
    ])  # fmt: skip


def large_tables(report: Mapping[str, Any]) -> str:
    machine = report["environment"]
    phases = [
        [one["phase"], f"{one['requests']:,}", f"{one['failed']}", f"{one['p50_ms']:g}",
         f"{one['p95_ms']:g}", f"{one['max_ms']:,.0f}"]
        for one in report["phases"]
    ]  # fmt: skip
    parts = [
        [f"{part['slow_factor']:g}", f"{part['rows']:,}", f"{part['seconds'] / 60:.1f}",
         f"{part['rows'] / part['seconds']:,.0f}"]
        for part in report["backfill"]
    ]  # fmt: skip
    return "\n\n".join([
        f"{machine['cores']} cores, {machine['memory_gb']} GB, of them {report['shared_buffers']} "
        f"shared_buffers, ragkit {machine['ragkit']}: {report['rows']:,} rows beside a live HNSW, "
        f"their index in {report['index_seconds'] / 60:.1f} minutes, {report['requests']:,} "
        f"requests, {report['failed']} failed.",
        table(["`backfill.slow_factor`", "rows", "minutes", "rows/s"], parts),
        table(["phase", "requests", "failed", "p50 ms", "p95 ms", "longest ms"], phases),
    ])  # fmt: skip


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def main(file: Path) -> None:
    report = json.loads(file.read_text())
    text = large_tables(report) if file.stem == "large" else tables(report)
    marked = re.compile(MARKED.format(file.stem), re.DOTALL)
    PAGE.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", PAGE.read_text()))
    if file.stem == "large":
        PROBE_LOG.parent.mkdir(exist_ok=True)
        shutil.copy(file.with_name(PROBE_LOG.name), PROBE_LOG)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
