"""Retire: drop the old column. After it there is no way back."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import QUERY_CANCELED, sqlstate, translate_errors
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
from ragkit.migration.tables.siblings import require_cut_over
from ragkit.migration.verdict import GO, Verdict, database_gates, failed_gates
from ragkit.migration.versioned_view import statements as view_statements
from ragkit.migration.versioned_view.retirement import (
    describe_view,
    drop_if_unused,
    is_there,
    retire_faults,
    take_usual_name,
)
from ragkit.migration.work import sweep
from ragkit.retrieval import contract_changes

_COLUMN = sa.text("""
    select exists (select from pg_attribute where attrelid = to_regclass(:table)
                   and attname = :column and not attisdropped)
""")


@dataclass(frozen=True)
class Retirement:
    """`done` is false when nothing was changed; `message` says why, and how to go on."""

    done: bool
    message: str


def retire(migration: Migration, app: App) -> Retirement:
    """Drops the old column if the plan says `old.retire`. Safe to repeat.

    The trigger on the new column stays: it clears a vector whose text changes. Raises ConfigError,
    PhaseError, GateError when the app does not serve the new model, rows lack its vector, or a
    sibling is not cut over,
    DatabaseError or DeployError.
    """
    with exclusive(migration, "retire", with_siblings=True):
        return _retire(migration, app)


def _retire(migration: Migration, app: App) -> Retirement:
    plan, phase = migration.plan, migration.phase()
    if phase == phases.RETIRED:
        app.release()
        view = drop_if_unused(migration) if plan.app.way == "view" else ""
        return Retirement(True, f"column {plan.old.declared} was dropped before{view}")
    if not plan.old.retire:
        return Retirement(
            False,
            f"nothing was changed: {plan.old.column} ({plan.old.model}) is the way back. "
            "To drop it for good, set old.retire: true (in the notebook: retire = True).",
        )
    phases.require_phase("retire", phase)
    migration.require_named_database("retire")
    _require_new_model(app, plan.new.model)
    require_cut_over(migration)
    counts = audit(migration)
    with translate_errors("retire"), migration.engine.connect() as connection:
        gates = Verdict.of(database_gates(connection, migration, counts), {})
        faults = list(retire_faults(connection, migration))
    if faults:
        raise GateError(f"retire is refused: {'; '.join(faults)}; nothing was changed")
    if gates.verdict != GO:
        raise GateError(f"retire is refused: {failed_gates(gates)}; nothing was changed")
    detail = {}
    if plan.app.target == "none":
        action = f"stop the last process that uses {plan.old.model}"
        detail[CONFIRMED] = require_confirmation(migration, action)
    end_rescue(migration)
    with translate_errors("retire"):
        with migration.engine.connect() as connection:
            is_kept = has_others(connection, migration)  # reads the table, so before it is locked
        dropped: list[bool] = []
        run_online(
            migration,
            lambda c: dropped.append(drop_old_column(c, migration, is_kept=is_kept, **detail)),
        )
    migration.follow_names()
    app.release()
    view = describe_view(migration)
    end = "is dropped" if dropped[-1] else "stays for the rows outside of table.where"
    return Retirement(True, f"column {plan.old.column} {end}; there is no way back{view}")


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


def drop_old_column(
    connection: sa.Connection, migration: Migration, *, is_kept: bool = False, **detail: str
) -> bool:
    """Drops column, triggers, binding and marks, and records it with `detail`, in the connection's
    transaction. After a view, the new column takes the old one's name. A column that holds vectors
    of rows outside of the plan's filter stays: `is_kept`, or none was there before and one is now.
    Whether the column was dropped."""
    old = migration.plan.old
    back = migration.reversed()
    has_view = migration.plan.app.way == "view"
    if has_view and is_there(connection, migration):
        for statement in view_statements.lock_view(migration):
            connection.exec_driver_sql(statement)
    drop_triggers(connection, back)
    sweep.restart(connection, back)
    table = migration.plan.table.qualified_name
    contract_changes.unbind(connection, table, old.column, migration.where)
    remove_marks(connection, migration)
    is_kept = is_kept or _has_others_in_time(connection, migration)
    if not is_kept:
        connection.exec_driver_sql(statements.drop_column(migration))
        if has_view:
            take_usual_name(connection, migration)
    detail |= {"table": table, "where": migration.where}
    ledger.record(connection, migration.id, phases.RETIRED, column=old.column, **detail)
    return not is_kept


def _has_others_in_time(connection: sa.Connection, migration: Migration) -> bool:
    """Again, while nobody can write; False where the answer takes longer than an app may wait."""
    limit = f"set local statement_timeout = {migration.plan.database.lock_timeout_ms:d}"
    savepoint = connection.begin_nested()
    try:
        connection.exec_driver_sql(limit)
        return has_others(connection, migration)
    except DBAPIError as error:
        if sqlstate(error) != QUERY_CANCELED:
            raise
        return False
    finally:
        savepoint.rollback()


def has_others(connection: sa.Connection, migration: Migration) -> bool:
    """Whether the old column holds vectors of rows that are neither this migration's nor those of
    one that is retired; False once it is dropped."""
    if not migration.where or not _is_there(connection, migration):
        return False
    event = ledger.EVENT.c
    others = sa.select(event.detail["where"].as_string()).where(
        event.kind == phases.RETIRED,
        event.detail["table"].as_string() == migration.plan.table.qualified_name,
        event.detail["column"].as_string() == migration.plan.old.column,
    )
    parts = {migration.where, *filter(None, connection.scalars(others))}
    outside = " and ".join(f"({part}) is not true" for part in sorted(parts))
    column = quote_identifier(migration.plan.old.column)
    query = (
        f"select exists (select from {migration.quoted_table} "
        f"where {column} is not null and {outside})"
    )
    return bool(connection.exec_driver_sql(query).scalar())


def _is_there(connection: sa.Connection, migration: Migration) -> bool:
    names = {"table": migration.quoted_table, "column": migration.plan.old.column}
    return bool(connection.scalar(_COLUMN, names))
