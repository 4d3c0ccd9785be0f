"""rescue.json, and its tables in the documentation.

python -m tests.rescue.report runs/rescue-…/rescue.json      # writes the tables into the page
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ragkit.evaluation.metrics.bootstrap import Interval
from ragkit.runbook.report_pages.results import write_json
from ragkit.runbook.rescue.report import RESCUE, figures
from ragkit.runbook.rescue.steps import RescueRun
from tests.bench.figures import Figure
from tests.bench.report import PAGE, environment
from tests.rescue.large.table import RERANKS, TOGETHER

MARKED = re.compile(r"(<!-- rescue -->\n).*?(<!-- end of rescue -->)", re.DOTALL)
TAKEN = ("pairs", "bought", "method", "overlap", "refused", "quality_estimated", "map_ms")
"""Of the command's own figures, for the service that was measured."""
WORDS = {True: "passed", False: "missed", None: "absent"}


def sandbox_sections(
    rescue: RescueRun, command: dict[str, Any], quality: dict[str, Any], latency: dict[str, Any]
) -> dict[str, Any]:
    known = figures(rescue)
    by_rerank = latency["by_rerank"]
    return {
        **{name: known[name] for name in TAKEN},
        "seconds_to_first_answer": command["seconds"], "command": command,
        "quality_measured": quality, "explanation": _explain(known, quality),
        "texts_bought_per_request": {
            rerank: states["bought_per_request"] for rerank, states in by_rerank.items()
        },
        "latency_ms": latency,
    }  # fmt: skip


def _explain(known: dict[str, Any], quality: dict[str, Any]) -> str:
    """Why a goal of the quality is missed."""
    bridge = f"no bridge: {known['refused']}; " if known["refused"] else ""
    return (
        f"{bridge}full text finds {quality['found_by_words']:.0%} of the native search's rows: the "
        "others have no word of their question"
    )


def write(
    folder: Path, goals: Sequence[Figure], sections: Mapping[str, Any],
    reasons: Mapping[str, str], seconds: float,
) -> Path:  # fmt: skip
    """rescue.json in `folder`. `reasons` say why a part is absent."""
    return write_json(folder, RESCUE, {
        "environment": environment(), "seconds": round(seconds, 1), "absent": dict(reasons),
        "goals": {figure.goal.name: figure.as_json() for figure in goals}, **sections,
    })  # fmt: skip


def tables(report: dict[str, Any]) -> str:
    """The figures of rescue.json as Markdown."""
    where = report["environment"]
    parts = [
        f"{where['cores']} cores, {where['memory_gb']:g} GB, Python {where['python']}, "
        f"ragkit {where['ragkit']}; {report['seconds'] / 60:.0f} minutes.\n",
        _table(("figure", "goal", "measured", "result"), _goals(report)),
    ]
    if "latency_ms" in report:
        parts += [
            "A question of the sandbox, by `rescue.rerank` and by what was asked before:\n",
            _table(("rerank", "after", "p50 ms", "p95 ms", "model's share", "texts bought",
                    "tokens"), _latencies(report["latency_ms"]["by_rerank"])),
            "nDCG@10 of the sandbox ÷ that of the complete column:\n",
            _table(("rows filled", "rescued", "native search of what is there"),
                   _coverages(report["quality_by_coverage"])),
        ]  # fmt: skip
    if "large_table" in report:
        parts += [
            "The first answers of a large table, beside the exact search of its complete column:\n",
            _table(("rows", "candidates by", "rerank", "recall of candidates", "overlap@10",
                    "nDCG@10 ratio", "p50 ms", "p95 ms"),
                   _sizes(report["large_table"]["tables"])),
        ]  # fmt: skip
    return "\n".join(parts)


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [names, ["---"] * len(names), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _goals(report: dict[str, Any]) -> Iterator[list[str]]:
    for name, figure in report["goals"].items():
        reason = "" if figure["passed"] else f": {figure['reason']}".replace("|", "/")
        value = "–" if figure["median"] is None else f"{figure['median']:.3g}"
        yield [f"`{name}`", figure["goal"], value, f"{WORDS[figure['passed']]}{reason}"]


def _latencies(by_rerank: dict[str, Any]) -> Iterator[list[str]]:
    for rerank, states in by_rerank.items():
        for state, of in states.items():
            if state != "bought_per_request":
                yield [
                    rerank, state.removeprefix("after "), f"{of['p50']:.0f}", f"{of['p95']:.0f}",
                    f"{of['model_share']:.0%}", f"{of['bought']:.2g}", f"{of['tokens']:.0f}",
                ]  # fmt: skip


def _coverages(steps: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for step in steps:
        ratios = (str(Interval(**step[way]["ratio"])) for way in ("rescued", "native"))
        yield [f"{step['coverage']:.0%}", *ratios]


def _sizes(steps: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    for step in steps:
        for way, answers in step["answers"].items():
            for rerank in map(str, RERANKS):
                if answers:
                    of, recall = answers[rerank], step["recall"][rerank][way]
                    name = "full text and bridge" if way == TOGETHER else way
                    yield [
                        f"{step['rows']:,}", name, rerank, f"{recall['mean']:.2f}",
                        f"{of['overlap']['mean']:.2f}", str(Interval(**of["ratio"])),
                        f"{of['p50']:.0f}", f"{of['p95']:.0f}",
                    ]  # fmt: skip


def write_page(report: dict[str, Any], page: Path = PAGE) -> None:
    """Between the markers of the page."""
    text = page.read_text(encoding="utf-8")
    page.write_text(MARKED.sub(lambda m: m[1] + tables(report) + m[2], text), encoding="utf-8")


if __name__ == "__main__":
    write_page(json.loads(Path(sys.argv[1]).read_text()))
