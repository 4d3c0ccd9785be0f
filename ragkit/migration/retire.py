"""Retire: drop the old column. After it there is no way back."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit import contract
from ragkit.app import App
from ragkit.database import plain_errors, quoted
from ragkit.errors import GateError
from ragkit.migration import ledger
from ragkit.migration.ddl import online
from ragkit.migration.schema import drop_triggers
from ragkit.migration.subject import Migration


@dataclass(frozen=True)
class Retirement:
    """`done` False: nothing was touched, `message` says why and how to ask."""

    done: bool
    message: str


def retire(migration: Migration, app: App) -> Retirement:
    """Drops the old column when the plan asks for it. Run again, it finds it done.

    Raises GateError when asked before the app serves the new model. The trigger stays: it keeps
    the new column honest as long as the table lives.
    """
    plan = migration.plan
    with plain_errors("retire"), migration.engine.connect() as connection:
        phase = ledger.phase(connection, migration.id)
    if phase == ledger.RETIRED:
        app.release()
        return Retirement(True, f"column {plan.old_column} was dropped before")
    if not plan.retire:
        return Retirement(
            False,
            f"nothing was touched: {plan.old_column} ({plan.old_model}) is the way back. "
            "To drop it for good, set retire: true and run this notebook again.",
        )
    serving = app.serving()
    if phase != ledger.CUT_OVER or serving is None or serving.model != plan.new_model:
        raise GateError(
            f"retire is refused: phase {phase}, serving {serving.model if serving else 'nothing'}; "
            f"cut over to {plan.new_model} first"
        )
    with plain_errors("retire"):
        online(migration, lambda connection: _drop(connection, migration))
    app.release()
    return Retirement(True, f"column {plan.old_column} is dropped; there is no way back")


def _drop(connection: sa.Connection, migration: Migration) -> None:
    plan = migration.plan
    drop_triggers(connection, migration.reversed())
    contract.unbind(connection, plan.qualified, plan.old_column)
    connection.exec_driver_sql(
        f"alter table {quoted(plan.table_schema, plan.table)} "
        f"drop column if exists {quoted(plan.old_column)}"
    )
    migration.record(connection, ledger.RETIRED, column=plan.old_column)
