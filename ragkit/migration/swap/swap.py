"""Swaps the names of the two columns in one short transaction, while the app restarts.

Between the swap and the restart a process of the other model meets the wrong column. Where the
dimensions differ, each of its searches fails; where they are equal it would answer unrelated rows.
So the swap is refused unless the app is down, or a script restarts it and the dimensions differ.
"""

from contextlib import suppress

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.deploy.app import App
from ragkit.errors import DeployError, GateError, RagkitError, SchemaError
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.migration.plan import Plan
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.swap.faults import swap_faults
from ragkit.migration.swap.names import RENAMED, current_plan, record_names
from ragkit.migration.swap.statements import is_swapped, lock_sql, swap_sql, swapped, swapped_back
from ragkit.retrieval import contract_changes

WINDOW = "window_seconds"
"""Of an event: from the swap until the app was seen to answer by the other model."""
_SINCE = sa.text("""
    select extract(epoch from clock_timestamp() - at)::float from ragkit.event
    where migration = :id and kind = :kind order by id desc limit 1
""")


def swap(migration: Migration, app: App, *, back: bool = False) -> bool:
    """The usual name is the new column's, or with `back` the old one's again. False when it was so
    before. Safe to repeat.

    Raises GateError where an old process would agree with the wrong column and may be running,
    SchemaError for objects in the way, DatabaseError or DeployError; then nothing is changed, and
    an app that was stopped is started again.
    """
    migration.follow_names()
    plan = migration.plan
    if is_swapped(plan) is not back:
        return False
    later = swapped_back(plan) if back else swapped(plan)
    with translate_errors("swapping names"), migration.engine.connect() as connection:
        _require_no_fault(connection, migration, later)
    before, after = (plan.new, plan.old) if back else (plan.old, plan.new)
    try:
        grounds = _close_window(migration, app, after.model)
        _swap(migration, later, grounds)
    except RagkitError:
        if plan.app.stop:
            with suppress(DeployError):
                app.switch(before.model, lambda _: "", reuse=True)
        raise
    return True


def undo_swap(migration: Migration) -> None:
    """Of a deployment that failed. Raises DatabaseError."""
    migration.follow_names()
    if is_swapped(migration.plan):
        _swap(migration, swapped_back(migration.plan), "the deployment failed")


def measure_window(migration: Migration) -> dict[str, float]:
    """The time since the names were last swapped, for the ledger; {} without a swap."""
    values = {"id": migration.id, "kind": RENAMED}
    with translate_errors("measuring the window"), migration.engine.connect() as connection:
        seconds = connection.scalar(_SINCE, values) if ledger.exists(connection) else None
    return {} if seconds is None else {WINDOW: round(seconds, 3)}


def _close_window(migration: Migration, app: App, model: str) -> str:
    """On what grounds the columns may be swapped now."""
    plan = migration.plan
    if app.stop(model):
        return "the app was down"
    dimensions = migration.old.space.dimension, migration.new.space.dimension
    agree = dimensions[0] == dimensions[1]
    if plan.app.target == "command" and not agree:
        return "the dimensions differ: a process of the other model fails, and answers nothing"
    if plan.app.mixed_window:
        return plan.app.mixed_window
    consequence = (
        f"both models make {dimensions[0]} dimensions, so that a process of the other model would "
        "answer unrelated rows without an error"
        if agree
        else "until somebody restarts the app, each of its searches would fail"
    )
    raise GateError(
        f"the swap is refused: {consequence}; stop the app first (app.stop, or by hand) and run "
        "this step again, or say in app.mixed_window why it may be so; nothing was changed"
    )


def _swap(migration: Migration, later: Plan, grounds: str) -> None:
    with translate_errors("swapping names"):
        run_online(migration, lambda connection: _rename(connection, migration, later, grounds))
    migration.follow_names()


def _rename(connection: sa.Connection, migration: Migration, later: Plan, grounds: str) -> None:
    """All or nothing: columns, triggers, contract and ledger."""
    plan = migration.plan
    locks = lock_sql(migration)
    for statement in locks:
        connection.exec_driver_sql(statement)
    if current_plan(connection, plan) != plan:
        return  # somebody else was faster
    _require_no_fault(connection, migration, later)
    for statement in swap_sql(connection, migration, later)[len(locks) :]:
        connection.exec_driver_sql(statement)
    names = {plan.old.column: later.old.column, plan.new.column: later.new.column}
    contract_changes.rename(connection, plan.table.qualified_name, names)
    record_names(connection, later, grounds=grounds)


def _require_no_fault(connection: sa.Connection, migration: Migration, later: Plan) -> None:
    if faults := list(swap_faults(connection, migration, later)):
        raise SchemaError(
            f"the names cannot be swapped: {'; '.join(faults)}; nothing was changed", faults
        )
