"""Starts the sandbox, and keeps a migration that is under way."""

from collections.abc import Iterator

from ragkit.migration import ledger, phases
from ragkit.runbook.runbook import Runbook
from ragkit.sandbox.sample import OLD_MODEL, TABLE


def start_sandbox(runbook: Runbook) -> Iterator[str]:
    """Yields what was there and what was done, one line each.

    A missing table or a complete migration starts afresh; a migration that stopped half-way is
    kept, so that the next run resumes one that was killed. Raises SandboxError or DeployError.
    """
    sandbox = runbook.sandbox
    running = sandbox.postgres.running()
    sandbox.up()
    yield "PostgreSQL was running" if running else "PostgreSQL started"
    phase = _phase(runbook)
    if phase in (None, phases.PLANNED, phases.CUT_OVER, phases.RETIRED):
        rows = sandbox.restore()
        complete = phase in (phases.CUT_OVER, phases.RETIRED)
        why = "the last migration is complete: starting afresh" if complete else "starting afresh"
        yield f"table {TABLE}: {rows} rows, every vector by {OLD_MODEL} ({why})"
        model = OLD_MODEL
    else:
        yield f"a migration in phase {phase!r} is under way: the next steps continue it"
        model = None
    serving = sandbox.app.serving()
    if serving is None or model not in (None, serving.model):
        revision = sandbox.app.stage(model or OLD_MODEL)
        sandbox.app.promote(revision)
        sandbox.app.forget()
        yield f"the app serves {revision.model} at {sandbox.app.url} as {revision.name}"
    else:
        yield f"the app was serving {serving.model} at {sandbox.app.url}"


def _phase(runbook: Runbook) -> str | None:
    """None when there is no table yet."""
    if not runbook.sandbox.has_table():
        return None
    with runbook.engine.connect() as connection:
        return ledger.phase(connection, runbook.plan.migration_id)
