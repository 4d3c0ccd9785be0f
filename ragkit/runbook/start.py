"""Brings the sandbox up, keeping a migration that is under way."""

from collections.abc import Iterator

from ragkit.migration import ledger
from ragkit.migration.subject import Migration
from ragkit.runbook.session import Runbook
from ragkit.sandbox.stand_in import OLD_MODEL


def start(runbook: Runbook) -> Iterator[str]:
    """Yields what was found and what was done, a line each.

    A migration that is complete, or a missing table, starts afresh; one that stopped half-way is
    kept, so that a run that was killed is resumed by the next.
    """
    sandbox = runbook.sandbox
    running = sandbox.postgres.running()
    sandbox.up()
    yield "PostgreSQL was running" if running else "PostgreSQL started"
    phase = _phase(runbook)
    if phase in (None, ledger.PLANNED, ledger.CUT_OVER, ledger.RETIRED):
        rows = sandbox.restore()
        ended = phase in (ledger.CUT_OVER, ledger.RETIRED)
        why = "the migration before is complete: starting afresh" if ended else "starting afresh"
        yield f"table amenities: {rows} rows, every vector by {OLD_MODEL} ({why})"
        model = OLD_MODEL
    else:
        yield f"a migration in phase {phase!r} is under way: kept, the next steps go on from there"
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
        return ledger.phase(connection, Migration.name_of(runbook.plan))
