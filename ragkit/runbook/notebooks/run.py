"""A run of one table: its notebooks through papermill, into a folder, and the report of them."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import papermill

from ragkit import errors
from ragkit.checkout import ROOT
from ragkit.errors import RagkitError
from ragkit.migration.plan import Plan
from ragkit.migration.rescue.service_log import ServiceState
from ragkit.migration.verdict import GO, read_verdict
from ragkit.runbook.notebooks.kernels import private_kernel
from ragkit.runbook.notifications import address, message, notify
from ragkit.runbook.parameters import Parameters
from ragkit.runbook.report_pages.first_page import write_index
from ragkit.runbook.report_pages.notebook_page import write_page
from ragkit.runbook.report_pages.results import COMPARISON
from ragkit.runbook.report_pages.run_files import Phases, write_pictures, write_summary
from ragkit.runbook.rescue.service import service_states
from ragkit.runbook.runbook import Answer, Runbook

NOTEBOOKS = ROOT / "notebooks"
TOLD = {"02_backfill", "03_compare", "04_cutover", "05_retire", "90_rollback", "rescue"}
Tell = Callable[[str], object]


@dataclass(frozen=True)
class Outcome:
    """Of one table. `why` is the sentence of the verdict, or the reason of a stop. `faults` is
    empty when the run kept all its promises."""

    table: str
    run_dir: Path
    verdict: str | None
    why: str
    answer: Answer | None
    faults: list[str]


@dataclass
class NotebookRun:
    """`stopped`: the "notebook" that failed, and the "reason"; None while none did."""

    plan: Plan
    parameters: Parameters
    phases: Phases = field(default_factory=list)
    stopped: dict[str, str] | None = None

    def execute(self, notebook: str, tell: Tell) -> bool:
        """Whether it ended well."""
        name = notebook if notebook not in [p[0] for p in self.phases] else f"{notebook}_again"
        table = f" of {self.plan.name}" if self.plan.siblings else ""
        tell(f"{name}{table} …")
        output, start = self.parameters.run_dir / f"{name}.ipynb", time.time()
        try:
            _execute(notebook, output, self.parameters)
        except (papermill.PapermillExecutionError, RuntimeError) as error:
            self.stopped = {"notebook": name, "reason": _reason(error)}
        self.phases.append((name, start, time.time()))
        write_page(output)
        self._notify(notebook)
        if self.stopped is None:
            tell(f"{name}{table} done in {time.time() - start:.1f} s")
        return self.stopped is None

    def _notify(self, notebook: str) -> None:
        """Of a step that changes something, and of any failure."""
        if self.stopped or notebook in TOLD:
            runbook = Runbook(self.plan, self.parameters.run_dir)
            failure = self.stopped["reason"] if self.stopped else ""
            notify(address(self.plan, os.environ), message(runbook, notebook, failure))

    def close(self) -> Outcome:
        """Writes the figures, the pictures and the first page of whatever there is. The verdict is
        that of this run, and none when it stopped before."""
        plan, run_dir, stopped = self.plan, self.parameters.run_dir, self.stopped
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
        write_pictures(run_dir, verdict, self.phases, plan.old.model, states)
        summary = write_summary(runbook, verdict, self.phases, stopped)
        if summary["verdict"] != GO and not plan.gates.override:
            consequences.append(f"the verdict is {summary['verdict']}")
        if answer and answer.serving != plan.new.model:
            consequences.append(f"the app serves {answer.serving}, not {plan.new.model}")
        watched = summary["probe"]
        if plan.app.target == "local" and not watched["requests"]:
            consequences.append("the probe sent no request")
        # After a stopped notebook, the consequences say nothing new.
        faults = (
            [f"{stopped['notebook']} stopped: {stopped['reason']}"] if stopped else consequences
        )
        if watched["failed"]:
            faults.append(
                f"the probe: {watched['failed']} of {watched['requests']} requests failed"
            )
        write_index(run_dir, summary, verdict, answer, faults)
        why = stopped["reason"] if stopped else summary["why"] or ""
        return Outcome(plan.name, run_dir, summary["verdict"], why, answer, faults)


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
