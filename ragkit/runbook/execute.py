"""Runs every notebook in order through papermill, with the probe beside them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import papermill

from ragkit import errors
from ragkit.checkout import ROOT, child_path, require_checkout
from ragkit.deploy import probe
from ragkit.errors import RagkitError
from ragkit.migration.plan import Plan
from ragkit.migration.rescue.service_log import ServiceState
from ragkit.migration.verdict import GO, read_verdict
from ragkit.runbook.deployment import check_of
from ragkit.runbook.kernels import private_kernel
from ragkit.runbook.parameters import Parameters, make_private
from ragkit.runbook.questions import probe_questions
from ragkit.runbook.report_pages.first_page import write_index
from ragkit.runbook.report_pages.notebook_page import write_page
from ragkit.runbook.report_pages.results import COMPARISON
from ragkit.runbook.report_pages.run_files import (
    Phases,
    write_pictures,
    write_plan,
    write_summary,
)
from ragkit.runbook.rescue.need import needs_rescue
from ragkit.runbook.rescue.service import service_states
from ragkit.runbook.runbook import Answer, Runbook
from ragkit.sandbox.sample import QUESTIONS

NOTEBOOKS = ROOT / "notebooks"
REHEARSAL = (
    "00_sandbox", "01_inspect", "02_backfill", "03_compare", "04_cutover", "90_rollback",
    "04_cutover", "05_retire",
)  # fmt: skip
"""The sandbox proves the way back too, and ends on the new model."""
MIGRATION = ("01_inspect", "02_backfill", "03_compare", "04_cutover", "05_retire")
RESCUED = ("01_inspect", "rescue", *MIGRATION[1:])
"""Where the old model is gone, and the app is down."""


@dataclass(frozen=True)
class Outcome:
    """`faults` is empty when the run kept all its promises."""

    run_dir: Path
    verdict: str | None
    answer: Answer | None
    faults: list[str]


def run_notebooks(parameters: Parameters, tell: Callable[[str], object], runs: Path) -> Outcome:
    """Runs into a new folder of `runs`. A notebook that fails ends the run; the report is written
    all the same. Raises ConfigError or PlanError before anything is run."""
    require_checkout()
    plan = Runbook.of(parameters).plan
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = runs.resolve() / f"{stamp}-{parameters.params.stem}"
    make_private(run_dir)
    parameters = replace(parameters, params=parameters.params.resolve(), run_dir=run_dir)
    os.environ["PYTHONPATH"] = child_path()  # kernels import ragkit from this checkout
    write_plan(run_dir, plan)
    phases: Phases = []
    stopped: dict[str, str] | None = None
    is_rehearsal = plan.database.url == "sandbox"
    with ExitStack() as stack:
        if not is_rehearsal:
            watch_app(stack, parameters, tell)
        for notebook in REHEARSAL if is_rehearsal else _notebooks(parameters, tell):
            name = _unused(notebook, [phase[0] for phase in phases])
            tell(f"{name} …")
            start = time.time()
            try:
                _execute(notebook, run_dir / f"{name}.ipynb", parameters)
            except (papermill.PapermillExecutionError, RuntimeError) as error:
                stopped = {"notebook": name, "reason": _reason(error)}
            phases.append((name, start, time.time()))
            write_page(run_dir / f"{name}.ipynb")
            if stopped:
                break
            tell(f"{name} done in {phases[-1][2] - start:.1f} s")
            if notebook == "00_sandbox":
                watch_app(stack, parameters, tell)
    return _close(plan, run_dir, phases, stopped)


def _notebooks(parameters: Parameters, tell: Callable[[str], object]) -> Sequence[str]:
    if not needs_rescue(Runbook.of(parameters)):
        return MIGRATION
    tell("the old model does not answer, nor does the app: this run begins with a rescue")
    return RESCUED


def _execute(notebook: str, output: Path, parameters: Parameters) -> None:
    with private_kernel(output.parent / "kernels.log") as config:
        papermill.execute_notebook(
            NOTEBOOKS / f"{notebook}.ipynb",
            output,
            parameters={
                "params": str(parameters.params),
                "run_dir": str(parameters.run_dir),
                "set": list(parameters.overrides),
            },
            cwd=str(NOTEBOOKS),
            kernel_name="python3",
            progress_bar=False,
            config=config,
        )


def _reason(error: Exception) -> str:
    """The message of an error of ragkit; of another one in a cell, its name too. nbclient raises
    a RuntimeError for a kernel that died or did not start."""
    if not isinstance(error, papermill.PapermillExecutionError):
        return f"its process failed ({error}): kernels.log may say why, or the memory ran out"
    text = next(iter(str(error.evalue).strip().splitlines()), "")
    return text if error.ename in vars(errors) else f"{error.ename}: {text}"


def _close(plan: Plan, run_dir: Path, phases: Phases, stopped: dict[str, str] | None) -> Outcome:
    """Writes the figures, the pictures and the first page of whatever there is. The verdict is that
    of this run, and none when it stopped before."""
    runbook, verdict, answer = Runbook(plan, run_dir), None, None
    consequences: list[str] = []
    states: list[ServiceState] = []
    try:
        if (run_dir / COMPARISON).exists():
            verdict = read_verdict(runbook.migration)
        states = service_states(runbook)
        answer = runbook.ask()
    except RagkitError as error:
        consequences.append(str(error))
    write_pictures(run_dir, verdict, phases, plan.old.model, states)
    summary = write_summary(runbook, verdict, phases, stopped)
    if summary["verdict"] != GO and not plan.gates.override:
        consequences.append(f"the verdict is {summary['verdict']}")
    if answer and answer.serving != plan.new.model:
        consequences.append(f"the app serves {answer.serving}, not {plan.new.model}")
    watched = summary["probe"]
    if plan.app.target == "local" and not watched["requests"]:
        consequences.append("the probe sent no request")
    # After a stopped notebook, the consequences say nothing new.
    faults = [f"{stopped['notebook']} stopped: {stopped['reason']}"] if stopped else consequences
    if watched["failed"]:
        faults.append(f"the probe: {watched['failed']} of {watched['requests']} requests failed")
    write_index(run_dir, summary, verdict, answer, faults)
    return Outcome(run_dir, summary["verdict"], answer, faults)


def watch_app(stack: ExitStack, parameters: Parameters, tell: Callable[[str], object]) -> None:
    """Until the stack is closed: with the sandbox's own questions on its app, whatever the
    comparison asks; with the plan's, or labels of rows, on another app that answers."""
    runbook = Runbook.of(parameters)
    plan, check = runbook.plan, check_of(runbook.plan)
    questions, rate = QUESTIONS, probe.RATE
    if plan.app.target != "local":
        rate = plan.check.per_second
        if plan.app.target not in ("manual", "command") or not (plan.app.url and rate):
            return
        try:
            texts = probe_questions(runbook.migration)
            with check.client(plan.app.url) as client:
                check.ask(client, texts[0])
        except RagkitError as error:
            tell(f"the app is not watched: {error}")
            return
        questions = runbook.run_dir / "questions.jsonl"
        questions.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    arguments = [runbook.app.url, str(questions), str(runbook.probe_log), str(rate)]
    command = [sys.executable, "-m", "ragkit.deploy.probe", *arguments, json.dumps(asdict(check))]
    stack.callback(_stop, subprocess.Popen(command, cwd=ROOT))


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=probe.TIMEOUT_SECONDS * 2)


def _unused(name: str, taken: list[str]) -> str:
    return name if name not in taken else f"{name}_again"
