"""Expand: the new column beside the old one, with its triggers, contract and ledger."""

import logging
from collections.abc import Sequence
from dataclasses import replace

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.embedding.catalogue import is_plugin
from ragkit.embedding.embedder import Embedder
from ragkit.embedding.load import resolve_model
from ragkit.errors import ConfigError, ModelError
from ragkit.migration import ledger, phases
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema import statements
from ragkit.migration.schema.adoption import check_adoption
from ragkit.migration.schema.index.choice.width import require_index
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.schema.side_table import table as beside
from ragkit.migration.schema.trigger_faults import trigger_faults
from ragkit.migration.schema.triggers import add_triggers
from ragkit.migration.work import sweep
from ragkit.migration.work.tables import create_tables
from ragkit.retrieval import contract_changes
from ragkit.retrieval.space import Binding

_IS_NOT_NULL = sa.text("""
    select attnotnull from pg_attribute
    where attrelid = to_regclass(:table) and attname = :column and not attisdropped
""")

log = logging.getLogger(__name__)


def expand(migration: Migration, embedder: Embedder | None = None) -> bool:
    """Column, triggers, contract and ledger in one short transaction; the old column is not
    changed. Returns False when it was done before, or by another process meanwhile; triggers that
    were dropped or disabled since then are put back.

    `embedder` is the new model's, for vectors that the new column already holds; see
    `ragkit.migration.schema.adoption`. Raises ConfigError where the vectors are too wide for the
    plan's index, SpaceMismatch, ModelError or DatabaseError.
    """
    require_index(migration)
    with translate_errors("expand"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, migration.id) != phases.PLANNED:
                _restore_triggers(connection, migration)
                connection.rollback()
                _take_long_texts(connection, migration)
                return False
        plan = migration.plan
        bindings = [
            _identify(migration.old, plan.old.model), _identify(migration.new, plan.new.model)
        ]  # fmt: skip
        adoption = check_adoption(migration, embedder)
        is_mine = False

        def change(connection: sa.Connection) -> None:
            nonlocal is_mine
            is_mine = _expand(connection, migration, bindings)
            if is_mine and adoption:
                adoption.record(connection, migration)

        run_online(migration, change)
    return is_mine


def _restore_triggers(connection: sa.Connection, migration: Migration) -> None:
    if missing := [f for f in trigger_faults(connection, migration) if "fires after" not in f]:
        connection.rollback()
        run_online(migration, lambda change: _restore(change, migration, missing))
        log.warning(
            "triggers are put back (%s); a text that changed meanwhile kept its old vector: set "
            "%s to NULL in such rows, or in all, and the backfill embeds them again",
            "; ".join(missing), migration.plan.new.column,
        )  # fmt: skip


def _restore(connection: sa.Connection, migration: Migration, missing: Sequence[str]) -> None:
    """The whole table is walked again: rows may have been written unseen."""
    create_tables(connection)
    add_triggers(connection, migration)
    sweep.restart(connection, migration)
    ledger.record(connection, migration.id, ledger.TRIGGERS_RESTORED, faults=missing)


def _take_long_texts(connection: sa.Connection, migration: Migration) -> None:
    """After a change of `long_texts` from `refuse`: the vectors that are there stay right, and the
    rows that were refused are pending again."""
    for side in (migration, migration.reversed()):
        if (binding := side.known_new) is None:
            continue
        with connection.begin():
            changed = contract_changes.take_long_texts(connection, binding)
        if changed:
            rows = dead_letters.clear(side)
            migration.record("long texts", template=binding.space.template, retried=rows)


def _identify(binding: Binding, model: str) -> Binding:
    """With the class and model behind a plug-in; one that cannot be called keeps its path."""
    if binding.space.model != model or not is_plugin(model):
        return binding
    try:
        space_name = resolve_model(model).space_name
    except (ConfigError, ModelError):
        return binding
    return replace(binding, space=replace(binding.space, model=space_name))


def _expand(connection: sa.Connection, migration: Migration, bindings: Sequence[Binding]) -> bool:
    run = connection.exec_driver_sql  # in sa.text, a colon in a name would be a parameter
    for statement in statements.lock_schema():
        run(statement)
    if ledger.phase(connection, migration.id) != phases.PLANNED:  # of two, one has waited
        return False
    run(statements.create_schema())
    if migration.new_side:
        for statement in beside.create_sql(connection, migration):
            run(statement)
    else:
        run(statements.add_column(migration))
    for binding in bindings:
        contract_changes.bind(connection, binding)
    ledger.create_tables(connection)
    dead_letters.create_table(connection)
    create_tables(connection)
    for statement in statements.grant_to_app():
        run(statement)
    add_triggers(connection, migration)
    fingerprint = bindings[-1].space.fingerprint
    ledger.record(connection, migration.id, phases.EXPANDED, space=fingerprint)
    return True


def allow_missing_old(migration: Migration) -> None:
    """Before anything is deployed that inserts rows without an old vector: drops a NOT NULL of the
    old column. Safe to repeat. Raises DatabaseError."""
    with translate_errors("allowing rows without an old vector"):
        with migration.engine.connect() as connection:
            if not requires_old(connection, migration):
                return
        run_online(migration, lambda connection: _drop_not_null(connection, migration))


def _drop_not_null(connection: sa.Connection, migration: Migration) -> None:
    connection.exec_driver_sql(statements.drop_not_null(migration))


def requires_old(connection: sa.Connection, migration: Migration) -> bool:
    """Whether the old column is NOT NULL."""
    names = {"table": migration.quoted_table, "column": migration.plan.old.column}
    return bool(connection.scalar(_IS_NOT_NULL, names))


def keep_old_column_current(migration: Migration, after: str = "the cut-over") -> None:
    """After the cut-over, or a rescue, a changed text clears the old vector too, so that `follow`
    fills it again. Safe to repeat. Raises DatabaseError.
    """
    back = migration.reversed()
    with translate_errors("keeping the old column current"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, back.id) != phases.PLANNED:
                return
        run_online(migration, lambda connection: _watch_old_column(connection, back, after))


def keeps_both(connection: sa.Connection, migration: Migration) -> bool:
    """Whether a follower fills both columns: after a cut-over, and before it from when a new
    revision may write."""
    phase = ledger.phase(connection, migration.id)
    if phase in phases.BOTH_KEPT:
        return True
    back = ledger.phase(connection, migration.reversed().id)
    return back != phases.PLANNED and phase != phases.RETIRED


def _watch_old_column(connection: sa.Connection, back: Migration, after: str) -> None:
    add_triggers(connection, back)
    ledger.record(connection, back.id, phases.EXPANDED, after=after)
