"""Runs every notebook in order through papermill, with the probe beside them."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ragkit.checkout import child_path, require_checkout
from ragkit.migration.plan.tables.choice import require_one
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.runbook.notebooks.run import NotebookRun, Outcome, Tell
from ragkit.runbook.notebooks.watch import watch_app
from ragkit.runbook.notifications import address
from ragkit.runbook.parameters import Parameters, make_private
from ragkit.runbook.report_pages.run_files import write_plan
from ragkit.runbook.report_pages.tables_page import write_tables_page
from ragkit.runbook.rescue.need import needs_rescue
from ragkit.runbook.runbook import Runbook
from ragkit.runbook.tables.folders import table_folder

SANDBOX = (
    "00_sandbox", "01_inspect", "02_backfill", "03_compare", "04_cutover", "90_rollback",
    "04_cutover", "05_retire",
)  # fmt: skip
"""The sandbox proves the way back too, and ends on the new model."""
UNTIL_VERDICT = ("01_inspect", "02_backfill", "03_compare")
SWITCH = ("04_cutover", "05_retire")
MIGRATION = (*UNTIL_VERDICT, *SWITCH)
RESCUED = ("01_inspect", "rescue", *MIGRATION[1:])
"""Where the old model is gone, and the app is down."""


def run_notebooks(parameters: Parameters, tell: Tell, runs: Path) -> list[Outcome]:
    """Runs into a new folder of `runs`: one outcome for each table, each with a folder of its own
    where there are several. A notebook that fails ends the run of its table, and nothing is
    switched; the report is written all the same. Raises ConfigError or PlanError before anything is
    run."""
    require_checkout()
    plans = [runbook.plan for runbook in Runbook.all_of(parameters)]
    if plans[0].database.url == "sandbox":
        require_one(plans)
    address(plans[0], os.environ)
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    run_dir = make_private(runs.resolve() / f"{stamp}-{parameters.params.stem}")
    parameters = replace(parameters, params=parameters.params.resolve(), run_dir=run_dir)
    os.environ["PYTHONPATH"] = child_path()  # kernels import ragkit from this checkout
    write_plan(run_dir, *plans)
    if len(plans) == 1:
        return [_run_table(NotebookRun(plans[0], parameters), tell)]
    tables = [
        NotebookRun(
            plan,
            replace(
                parameters,
                run_dir=make_private(table_folder(run_dir, plan)),
                overrides=(*parameters.overrides, f"{TABLES}={plan.name}"),
            ),
        )
        for plan in plans
    ]
    outcomes = _run_tables(tables, tell)
    write_tables_page(run_dir, plans, outcomes)
    return outcomes


def _run_table(run: NotebookRun, tell: Tell) -> Outcome:
    is_sandbox = run.plan.database.url == "sandbox"
    with ExitStack() as stack:
        if not is_sandbox:
            watch_app(stack, run.parameters, tell)
        for notebook in SANDBOX if is_sandbox else _notebooks(run.parameters, tell):
            if not run.execute(notebook, tell):
                break
            if notebook == "00_sandbox":
                watch_app(stack, run.parameters, tell)
    return run.close()


def _run_tables(tables: Sequence[NotebookRun], tell: Tell) -> list[Outcome]:
    """Each has its verdict, whatever the others have; then one app is switched for all or none."""
    with ExitStack() as stack:
        for table in tables:
            watch_app(stack, table.parameters, tell)
        for notebook in UNTIL_VERDICT:
            for table in tables:
                if table.stopped is None:
                    table.execute(notebook, tell)
        for notebook in SWITCH:
            for table in tables:
                stopped = [other.plan.name for other in tables if other.stopped]
                if stopped and table.stopped is None:
                    reason = (
                        f"not run: the app is switched for all tables, and {stopped[0]} stopped"
                    )
                    table.stopped = {"notebook": notebook, "reason": reason}
                elif table.stopped is None:
                    table.execute(notebook, tell)
    return [table.close() for table in tables]


def _notebooks(parameters: Parameters, tell: Tell) -> Sequence[str]:
    if not needs_rescue(Runbook.of(parameters)):
        return MIGRATION
    tell("the old model does not answer, nor does the app: this run begins with a rescue")
    return RESCUED
