"""Retire: drop the old column. After it there is no way back."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.deploy.app import App
from ragkit.errors import AppNotRecognised, GateError
from ragkit.migration import ledger, phases
from ragkit.migration.exclusive import exclusive
from ragkit.migration.migration import Migration
from ragkit.migration.progress.audit import audit
from ragkit.migration.rescue.approximated import remove_marks
from ragkit.migration.rescue.service import end_rescue
from ragkit.migration.schema import statements
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.schema.triggers import drop_triggers
from ragkit.migration.serving.confirmation import CONFIRMED, require_confirmation
from ragkit.migration.verdict import GO, Verdict, database_gates, failed_gates
from ragkit.migration.work import sweep
from ragkit.retrieval import contract_changes


@dataclass(frozen=True)
class Retirement:
    """`done` is false when nothing was changed; `message` says why, and how to go on."""

    done: bool
    message: str


def retire(migration: Migration, app: App) -> Retirement:
    """Drops the old column if the plan says `old.retire`. Safe to repeat.

    The trigger on the new column stays: it clears a vector whose text changes. Raises ConfigError,
    PhaseError, GateError when the app does not serve the new model or rows lack its vector,
    DatabaseError or DeployError.
    """
    with exclusive(migration, "retire"):
        return _retire(migration, app)


def _retire(migration: Migration, app: App) -> Retirement:
    plan, phase = migration.plan, migration.phase()
    if phase == phases.RETIRED:
        app.release()
        return Retirement(True, f"column {plan.old.column} was dropped before")
    if not plan.old.retire:
        return Retirement(
            False,
            f"nothing was changed: {plan.old.column} ({plan.old.model}) is the way back. "
            "To drop it for good, set old.retire: true (in the notebook: retire = True).",
        )
    phases.require_phase("retire", phase)
    migration.require_named_database("retire")
    _require_new_model(app, plan.new.model)
    counts = audit(migration)
    with translate_errors("retire"), migration.engine.connect() as connection:
        gates = Verdict.of(database_gates(connection, migration, counts), {})
    if gates.verdict != GO:
        raise GateError(f"retire is refused: {failed_gates(gates)}; nothing was changed")
    detail = {}
    if plan.app.target == "none":
        action = f"stop the last process that uses {plan.old.model}"
        detail[CONFIRMED] = require_confirmation(migration, action)
    end_rescue(migration)
    with translate_errors("retire"):
        run_online(migration, lambda connection: drop_old_column(connection, migration, **detail))
    app.release()
    return Retirement(True, f"column {plan.old.column} is dropped; there is no way back")


def _require_new_model(app: App, model: str) -> None:
    """Raises GateError unless the app serves `model`."""
    try:
        serving = app.serving()
    except AppNotRecognised as error:
        raise GateError(f"retire is refused: {error}") from None
    if serving is None or serving.model != model:
        raise GateError(
            f"retire is refused: the app serves {serving.model if serving else 'nothing'}; "
            f"cut over to {model} first"
        )


def drop_old_column(connection: sa.Connection, migration: Migration, **detail: str) -> None:
    """Drops column, triggers, binding and marks, and records it with `detail`, in the connection's
    transaction."""
    old = migration.plan.old
    back = migration.reversed()
    drop_triggers(connection, back)
    sweep.restart(connection, back)
    table = migration.plan.table.qualified_name
    contract_changes.unbind(connection, table, old.column, migration.where)
    remove_marks(connection, migration)
    connection.exec_driver_sql(statements.drop_column(migration))
    ledger.record(connection, migration.id, phases.RETIRED, column=old.column, **detail)
