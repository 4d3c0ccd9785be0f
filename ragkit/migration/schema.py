"""Expand: the new column beside the old one, and the trigger that keeps it honest."""

import hashlib

import sqlalchemy as sa

from ragkit import contract
from ragkit.database import plain_errors, quoted
from ragkit.migration import aside, ledger
from ragkit.migration.claims import stripes_for
from ragkit.migration.ddl import online
from ragkit.migration.subject import Migration
from ragkit.migration.wake import CHANNEL
from ragkit.search import column_type

_CLEAR = """
create or replace function {clear}() returns trigger language plpgsql as $body$
begin
    new.{column} := null;  -- the vector was made from the text before this write
    return new;
end $body$
"""
_CLEAR_TRIGGER = """
create or replace trigger {clear_trigger} before update on {table} for each row
when (old.{content} is distinct from new.{content}
      and old.{column} is not distinct from new.{column})
execute function {clear}()
"""
_WAKE = """
create or replace function {wake}() returns trigger language plpgsql as $body$
begin
    perform pg_notify('{channel}', '');  -- one a transaction, however many rows
    return null;
end $body$
"""
_WAKE_TRIGGER = """
create or replace trigger {wake_trigger} after insert or update on {table} for each row
when (new.{column} is null) execute function {wake}()
"""


def expand(migration: Migration) -> bool:
    """Column, trigger, contract and ledger, all or nothing. False when it was done before.

    The old column and its data are not touched. Raises SpaceMismatch or DatabaseError.
    """
    with plain_errors("expand"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, migration.id) != ledger.PLANNED:
                return False
            rows = connection.scalar(sa.select(sa.func.count()).select_from(migration.table))
        stripes = stripes_for(rows, migration.plan.batch_size)
        online(migration, lambda connection: _expand(connection, migration, stripes))
    return True


def _expand(connection: sa.Connection, migration: Migration, stripes: int) -> None:
    run = connection.exec_driver_sql  # a colon in a name is no parameter
    run(f"create schema if not exists {quoted(contract.SCHEMA)}")
    contract.bind(connection, migration.old)
    contract.bind(connection, migration.new)
    ledger.create(connection)
    aside.create(connection)
    # The app's role reads the contract, and may be another one than ours.
    run(f"grant usage on schema {quoted(contract.SCHEMA)} to public")
    run(f"grant select on {quoted(contract.SCHEMA, contract.CONTRACT.name)} to public")
    run(
        f"alter table {_names(migration)['table']} "
        f"add column if not exists {quoted(migration.plan.new_column)} "
        f"{column_type(migration.new.space.dimension).get_col_spec()}"
    )
    _add_triggers(connection, migration)
    migration.record(connection, ledger.EXPANDED, space=migration.new.space.fingerprint)
    ledger.set_stripes(connection, migration.id, stripes)


def keep_old_current(migration: Migration) -> None:
    """After the cut-over: a changed text clears the old vector too, so that `follow` makes it
    anew; where the old column was NOT NULL it no longer is. Done twice, it changes nothing."""
    back = migration.reversed()
    with plain_errors("keeping the old column current"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, back.id) != ledger.PLANNED:
                return
            stripes = ledger.stripes(connection, migration.id)
        online(migration, lambda connection: _keep(connection, back, stripes))


def _keep(connection: sa.Connection, back: Migration, stripes: int) -> None:
    column = quoted(back.plan.new_column)
    connection.exec_driver_sql(
        f"alter table {_names(back)['table']} alter column {column} drop not null"
    )
    _add_triggers(connection, back)
    back.record(connection, ledger.EXPANDED, after="the cut-over")
    ledger.set_stripes(connection, back.id, stripes)


def drop_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`."""
    names = _names(migration)
    for trigger in ("clear_trigger", "wake_trigger"):
        connection.exec_driver_sql(f"drop trigger if exists {names[trigger]} on {names['table']}")
    connection.exec_driver_sql(f"drop function if exists {names['clear']}()")


def _add_triggers(connection: sa.Connection, migration: Migration) -> None:
    names = _names(migration)
    for statement in (_CLEAR, _CLEAR_TRIGGER, _WAKE, _WAKE_TRIGGER):
        connection.exec_driver_sql(statement.format(**names))


def _names(migration: Migration) -> dict[str, str]:
    """Quoted SQL names. A trigger's begins with zz: triggers fire in the order of names, and
    these must see what the others made of the text."""
    plan = migration.plan
    unique = hashlib.sha256(migration.id.encode()).hexdigest()[:8]
    return {
        "table": quoted(plan.table_schema, plan.table),
        "column": quoted(plan.new_column),
        "content": quoted(plan.content),
        "clear": quoted(contract.SCHEMA, f"clear_{unique}"),
        "clear_trigger": quoted(f"zz_ragkit_clear_{unique}"),
        "wake": quoted(contract.SCHEMA, "wake"),
        "wake_trigger": quoted(f"zz_ragkit_wake_{unique}"),
        "channel": CHANNEL,
    }
