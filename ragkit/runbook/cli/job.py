"""`ragkit backfill` as the tasks of a Cloud Run job: task 0 begins and completes, the others share
the work that the database hands out.

Of several jobs at once, the task 0 of one leads; that of another is as any other task.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from ragkit.errors import ConfigError, PhaseError, Stopped
from ragkit.migration import phases
from ragkit.migration.backfill.batch.preparing import is_by_jobs
from ragkit.migration.backfill.engine.share import share_backfill
from ragkit.migration.exclusive import LEAD, Taken, exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.schema.expansion import expand
from ragkit.migration.work.connections import require_connections
from ragkit.migration.work.task import Task
from ragkit.runbook.cli.options import for_each_table
from ragkit.runbook.cli.terminal import Terminal
from ragkit.runbook.runbook import Runbook

BEGIN_SECONDS = 300.0
"""How long a task waits for task 0, which may have to be started and to fetch its image."""
POLL_SECONDS = 1.0

Whole = Callable[[Runbook, bool], object]


def run_task(
    task: Task,
    runbooks: Sequence[Runbook],
    terminal: Terminal,
    whole: Whole,
) -> None:
    """`whole` is the backfill of one table; it is told what expand has answered.

    Raises ConfigError where the plan has workers of its own or the server no room for the
    connections of all tasks, PhaseError when task 0 does not begin, and as the backfill.
    """
    terminal.fact("task", f"{task.index} of {task.count}")
    for runbook in runbooks:
        _require_no_workers(runbook)
    require_connections(runbooks[0].migration, task.count)
    try:
        if task.begins:
            for runbook in runbooks[1:]:  # the others are not to wait for the index of the first
                expand(runbook.migration, runbook.new_embedder)
            for_each_table(runbooks, terminal, lambda runbook: _lead(runbook, terminal, whole))
        else:
            for_each_table(runbooks, terminal, lambda runbook: _follow(runbook, terminal))
    except Stopped as error:  # one that fails is started again
        terminal.line(error, "stopped")


def wait_for_column(
    migration: Migration,
    seconds: float = BEGIN_SECONDS,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Until another process has added the new column. Raises PhaseError after `seconds`, or
    DatabaseError."""
    deadline = time.monotonic() + seconds
    while migration.phase() == phases.PLANNED:
        if time.monotonic() > deadline:
            raise PhaseError(
                f"task 0 has not added the new column within {seconds:g} s: see its log, and "
                "execute the job again; nothing was changed"
            )
        sleep(POLL_SECONDS)


def _lead(runbook: Runbook, terminal: Terminal, whole: Whole) -> None:
    migration = runbook.migration
    terminal.fact("database", migration.database)
    added = expand(migration, runbook.new_embedder)  # which makes what is leased
    with ExitStack() as stack:
        try:
            stack.enter_context(exclusive(migration, "backfill", name=migration.id + LEAD))
        except Taken as taken:
            terminal.line(f"{taken.holder} begins and completes this backfill: sharing it", "lead")
            _share(runbook, terminal)
            return
        whole(runbook, added)


def _follow(runbook: Runbook, terminal: Terminal) -> None:
    terminal.fact("database", runbook.migration.database)
    wait_for_column(runbook.migration)
    _share(runbook, terminal)


def _share(runbook: Runbook, terminal: Terminal) -> None:
    if is_by_jobs(runbook.migration):
        terminal.line("backfill.mode is batch: task 0 alone has the provider's jobs", "share")
        return
    steps = share_backfill(runbook.migration, runbook.new_embedder, runbook.probe_log)
    terminal.progress("progress", steps)


def _require_no_workers(runbook: Runbook) -> None:
    section = runbook.plan.backfill
    if section.engine != "local" or section.workers > 1:
        raise ConfigError(
            "the tasks of a job are the workers: leave backfill.engine and backfill.workers out "
            "of the params file, and set the number of tasks"
        )
