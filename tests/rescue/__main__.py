"""python -m tests.rescue: all figures of a rescued service, with rescue.json in a folder of runs/.

Exits with 1 if a part has failed or a goal is missed.
"""

import argparse
import logging
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.conftest import ROOT, embedder_of
from tests.cranfield.conftest import DATA
from tests.cranfield.test_rescue import Known
from tests.notebooks.test_jss import REAL
from tests.rescue import bridges, collection, quality, report, sandbox, server, traffic
from tests.rescue.asking import some
from tests.rescue.goals import SOUGHT
from tests.rescue.large import growth

PARTS = ("sandbox", "real", "cranfield", "large")
MODEL = "all-minilm-l6-v2"
STATES = (0, 10, 100, 1000)
"""Questions of traffic before the latency is measured."""
ABSENT = "../shared/data does not have it"


class Proof:
    """The sections of rescue.json, which is written after each part. A part that fails does not
    take the others with it."""

    def __init__(self, given: argparse.Namespace):
        self.given, self.sections = given, dict[str, Any]()
        self.reasons = dict[str, str]()
        self.folder = given.runs / f"rescue-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        self._start = time.monotonic()

    def part(self, name: str, measure: Callable[[], dict[str, Any]], is_there: bool = True) -> None:
        if name not in self.given.only or not is_there:
            self.reasons[name] = "left out" if is_there else ABSENT
            return
        began = time.monotonic()
        try:
            self.sections |= measure()
        except Exception as error:  # what was measured before must be reported
            logging.exception("the part %s failed", name)
            self.reasons[name] = f"{type(error).__name__}: {error}"
        print(f"{name}: {time.monotonic() - began:.0f} s", flush=True)
        self.write()

    def write(self) -> Path:
        seconds = time.monotonic() - self._start
        return report.write(self.folder, self.figures, self.sections, self.reasons, seconds)

    @property
    def figures(self) -> list[Figure]:
        return [sought.figure(self.sections, self.reasons) for sought in SOUGHT]

    @property
    def has_failed(self) -> bool:
        return any(reason not in (ABSENT, "left out") for reason in self.reasons.values())


def measure_sandbox(given: argparse.Namespace) -> dict[str, Any]:
    """With the random old vectors, whose table has the same texts."""
    model = embedder_of(MODEL)
    with ExitStack() as stack:
        site = stack.enter_context(sandbox.down())
        command = sandbox.run_command(site)
        print(f"first right answer: {command['seconds']} s", flush=True)
        prepared = stack.enter_context(sandbox.prepared(site))
        questions = prepared.rescue.runbook.questions
        if given.questions:
            questions = some(questions, given.questions)
        measured = quality.measure(prepared, questions, model)
        coverage = quality.by_coverage(prepared, questions, model)
        prepared.fill(prepared.keys)
        with server.serving() as postgres:
            random = bridges.random(prepared, questions, Known(model, prepared.migration), postgres)
        latency = traffic.measure(prepared, questions.texts, model, given.states, given.sample)
        return report.sandbox_sections(prepared.rescue, command, measured, latency) | {
            "quality_by_coverage": coverage, "random_vectors": random,
        }  # fmt: skip


def measure_cranfield() -> dict[str, Any]:
    with server.serving() as postgres:
        return {"cranfield": collection.measure(postgres, embedder_of(MODEL))}


def measure_large(given: argparse.Namespace) -> dict[str, Any]:
    sizes = sorted({*(n for n in (10_000, 100_000) if n < given.rows), given.rows})
    with server.serving() as postgres:
        return {"large_table": growth.measure(postgres, sizes, given.sample)}


def main(given: argparse.Namespace) -> int:
    logging.basicConfig(level=logging.WARNING)
    logging.getLogger("ragkit.retrieval.rescue.filling").setLevel(logging.ERROR)  # READER's
    proof = Proof(given)
    proof.part("sandbox", lambda: measure_sandbox(given))
    proof.part("real", lambda: {"real_vectors": bridges.real()}, REAL)
    proof.part("cranfield", measure_cranfield, DATA.exists())
    proof.part("large", lambda: measure_large(given), DATA.exists())
    print(*proof.figures, sep="\n")
    print(f"report: {proof.write()}")
    return int(proof.has_failed or any(figure.passed is False for figure in proof.figures))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m tests.rescue")
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, help="parts; all by default")
    add("--rows", type=int, default=200_000, help="of the largest table; 1,000,000 take longer")
    add("--sample", type=int, default=50, help="questions of each latency, and of the large table")
    add("--questions", type=int, help="of the sandbox, for its quality; all by default")
    add("--states", type=int, nargs="+", default=STATES, help="questions before a latency")
    add("--runs", type=Path, default=ROOT / "runs", help="where the report's folder is made")
    return parser


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    sys.exit(main(parser().parse_args()))
