"""Runs every notebook in order through papermill, with the probe beside them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import papermill
from traitlets.config import Config

from ragkit.app import probe
from ragkit.errors import RagkitError
from ragkit.migration import verdict as verdicts
from ragkit.migration.plan import ROOT, Plan, parameters
from ragkit.runbook import report
from ragkit.runbook.session import Answer, Runbook

NOTEBOOKS = ROOT / "notebooks"
REHEARSAL = (
    "00_sandbox", "01_inspect", "02_backfill", "03_compare", "04_cutover", "90_rollback",
    "04_cutover", "05_retire",
)  # fmt: skip
"""The sandbox proves the way back too, and ends on the new model."""
MIGRATION = ("01_inspect", "02_backfill", "03_compare", "04_cutover", "05_retire")


@dataclass(frozen=True)
class Outcome:
    """`faults` is empty when every promise of the run was kept."""

    run_dir: Path
    verdict: str | None
    answer: Answer | None
    faults: list[str]


def run(params: Path, tell: Callable[[str], None], runs: Path) -> Outcome:
    """Raises PlanError before anything is run. A notebook that fails ends the run; the report
    is written all the same."""
    plan = Plan.from_file(params)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = runs.resolve() / f"{stamp}-{params.stem}"
    run_dir.mkdir(parents=True)
    values = {**parameters(params), "run_dir": str(run_dir)}
    # Kernels import ragkit from this checkout wherever they are started.
    os.environ["PYTHONPATH"] = str(ROOT)
    rehearsal = plan.database == "sandbox"
    phases, faults = [], []
    with ExitStack() as stack:
        for notebook in REHEARSAL if rehearsal else MIGRATION:
            name = _unused(notebook, [phase[0] for phase in phases])
            tell(f"{name} …")
            fault, began = None, time.time()
            try:
                _execute(notebook, run_dir / f"{name}.ipynb", values)
            except papermill.PapermillExecutionError as error:
                fault = f"{name} stopped: {error.evalue}"
            phases.append((name, began, time.time()))
            report.html(run_dir / f"{name}.ipynb")
            if fault:
                faults.append(fault)
                break
            tell(f"{name} done in {phases[-1][2] - began:.1f} s")
            if notebook == "00_sandbox":
                stack.callback(_stop, _start_probe(plan, run_dir))
    return _close(plan, run_dir, phases, faults)


def _execute(notebook: str, output: Path, values: dict[str, object]) -> None:
    with private_kernel() as config:
        papermill.execute_notebook(
            NOTEBOOKS / f"{notebook}.ipynb",
            output,
            parameters=values,
            cwd=str(NOTEBOOKS),
            kernel_name="python3",
            progress_bar=False,
            config=config,
        )


@contextmanager
def private_kernel() -> Iterator[Config]:
    """A kernel on sockets in a folder of its own: this machine and user alone, no ports. Left to
    themselves two runs beside one another take the same sockets."""
    with TemporaryDirectory(prefix="ragkit-kernel-") as folder:
        yield Config(KernelManager={"transport": "ipc", "ip": f"{folder}/k"})


def _close(plan: Plan, run_dir: Path, phases: report.Phases, faults: list[str]) -> Outcome:
    """The figures, the pictures and the first page, of whatever there is."""
    runbook, verdict, answer, broken = Runbook(plan), None, None, []
    try:
        verdict = verdicts.recorded(runbook.migration)
        answer = runbook.ask()
    except RagkitError as error:
        broken.append(str(error))
    report.pictures(run_dir, verdict, phases, plan)
    figures = report.summary(run_dir, verdict, phases)
    if figures["verdict"] != verdicts.GO and not plan.override:
        broken.append(f"the verdict is {figures['verdict']}")
    if answer and answer.serving != plan.new_model:
        broken.append(f"the app serves {answer.serving}, not {plan.new_model}")
    watched = figures["probe"]
    if plan.database == "sandbox" and not watched["requests"]:
        broken.append("the probe asked nothing")
    faults = faults or broken  # what follows from a notebook that stopped says nothing new
    if watched["failed"]:
        faults.append(f"the probe: {watched['failed']} of {watched['requests']} requests failed")
    report.index(run_dir, figures, answer, faults)
    return Outcome(run_dir, figures["verdict"], answer, faults)


def _start_probe(plan: Plan, run_dir: Path) -> subprocess.Popen:
    """With the sandbox's own questions, whatever the comparison asks."""
    return subprocess.Popen(
        [
            sys.executable, "-m", "ragkit.app.probe", Runbook(plan).app.url,
            plan.path(Plan().questions), run_dir / "probe.jsonl", str(probe.RATE),
        ],
        cwd=ROOT,
    )  # fmt: skip


def _stop(process: subprocess.Popen) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=probe.TIMEOUT_SECONDS * 2)


def _unused(name: str, taken: list[str]) -> str:
    return name if name not in taken else f"{name}_again"
