"""python -m tests.bench: all figures, round by round, until the repetitions or the time are over.

Exits with 1 if a part has failed: a goal that is missed is a finding, not an error.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from tests.bench import inserts, report, scenarios
from tests.bench.contenders import Run, Scenario
from tests.bench.database import BenchServer
from tests.bench.figures import GOALS, Figure
from tests.bench.scenarios import Sizes
from tests.conftest import ROOT

SERVING = ("function", "coldstart")
"""Modules with a function `measure(repetitions)`, which returns the ratios of the figures whose
names begin so, by figure."""
PARTS = ("limit", "no-index", "live-index", "inserts", "bulk-insert", "growth", *SERVING)
LARGE = replace(Sizes(), growth=(200_000, 2_000_000))


class Bench:
    """The ratios of all rounds so far."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = defaultdict(list)
        self.runs: dict[str, list[Run]] = defaultdict(list)
        self.reasons: dict[str, str] = {}
        self.failed = False

    def play(self, name: str, scenario: Scenario, server: BenchServer, number: int) -> None:
        """One round of a scenario."""
        runs = scenario.play(server, number)
        self.runs[name] += runs.values()
        for figure, ratio in scenario.ratios.items():
            explaining = [r for r in self.runs[name] if r.contender == ratio.explained_by]
            self.reasons[figure] = report.profile(explaining)
            try:
                self.values[figure].append(ratio.of(runs))
            except KeyError as missing:
                self.reasons[figure] = scenario.missing.get(*missing.args, f"no {missing}")
            print(self.figure(figure), flush=True)
        self.failed |= bool(scenario.failed)

    def measure(self, name: str, repetitions: int) -> None:
        """The figures of a module that brings its own server."""
        names = [goal.name for goal in GOALS if goal.name.startswith(f"{name}_")]
        if find_spec(f"tests.bench.{name}") is None:
            self.reasons |= dict.fromkeys(names, "not in this checkout")
        else:
            self.reasons |= dict.fromkeys(names, f"see tests/bench/{name}.py")
            try:
                self.values |= import_module(f"tests.bench.{name}").measure(repetitions)
            except Exception as error:  # what was measured before must be reported
                self.failed = True
                self.reasons |= dict.fromkeys(names, f"{type(error).__name__}: {error}")
        for figure in names:
            print(self.figure(figure), flush=True)

    def figure(self, name: str) -> Figure:
        goal = next(goal for goal in GOALS if goal.name == name)
        return Figure(goal, self.values.get(name, []), self.reasons.get(name, ""))


def main(given: argparse.Namespace, sizes: Sizes) -> int:
    start, bench = time.monotonic(), Bench()
    run_dir = given.runs / f"bench-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    run_dir.mkdir(parents=True)
    for name in SERVING:
        if name in given.only:
            bench.measure(name, given.repetitions)
    with tempfile.TemporaryDirectory(prefix="bench ") as folder, BenchServer(folder) as server:
        made = {
            "limit": scenarios.embedder_limit(sizes),
            "no-index": scenarios.without_index(sizes),
            "live-index": scenarios.live_index(sizes),
            "inserts": inserts.single_rows(server, Path(folder), given.seconds),
            "bulk-insert": inserts.bulk(sizes),
            "growth": scenarios.growth(sizes),
        }
        played = {name: made[name] for name in given.only if name in made}
        number, round_seconds = 0, 0.0
        while played and number < given.repetitions:
            began = time.monotonic()
            if number and began + round_seconds - start > 60 * given.minutes:
                print(f"the next round does not fit into {given.minutes:g} minutes")
                break
            print(
                f"round {number + 1} of {given.repetitions}, at {began - start:.0f} s", flush=True
            )
            for name, scenario in played.items():
                bench.play(name, scenario, server, number)
            number, round_seconds = number + 1, time.monotonic() - began
    figures = [bench.figure(g.name) for g in GOALS if g.name in {*bench.values, *bench.reasons}]
    print(f"\n{'figure':34} {'goal':>7}  {'min':>8} {'median':>8} {'max':>8}")
    print(*figures, sep="\n")
    print(f"report: {report.write(run_dir, figures, bench.runs, sizes, time.monotonic() - start)}")
    return int(bench.failed)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.bench")
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; all by default")
    add("--repetitions", type=int, default=5, help="rounds, each of all figures")
    add("--minutes", type=float, default=15, help="no round is begun that would end later")
    add("--seconds", type=int, default=8, help="of one run of single-row inserts")
    add("--large", action="store_true", help="grow from 200,000 rows to 2,000,000")
    add("--runs", type=Path, default=ROOT / "runs", help="where the report's folder is made")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    arguments = parser().parse_args()
    sys.exit(main(arguments, LARGE if arguments.large else Sizes()))
