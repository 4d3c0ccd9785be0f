"""The triggers on the table: a changed text clears its vector, a pending row wakes followers."""

import hashlib

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.retrieval.contract import SCHEMA

CHANNEL = "ragkit"
"""Of NOTIFY."""

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


def add_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    names = _names(migration)
    for statement in (_CLEAR, _CLEAR_TRIGGER, _WAKE, _WAKE_TRIGGER):
        connection.exec_driver_sql(statement.format(**names))


def drop_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    names = _names(migration)
    for trigger in ("clear_trigger", "wake_trigger"):
        connection.exec_driver_sql(f"drop trigger if exists {names[trigger]} on {names['table']}")
    connection.exec_driver_sql(f"drop function if exists {names['clear']}()")


def _names(migration: Migration) -> dict[str, str]:
    """SQL names, quoted. A trigger's name begins with zz, because triggers fire in the order of
    their names, and these must see the text as the others leave it."""
    unique = hashlib.sha256(migration.id.encode()).hexdigest()[:8]
    return {
        "table": migration.quoted_table,
        "column": quote_identifier(migration.plan.new.column),
        "content": quote_identifier(migration.plan.table.content),
        "clear": quote_identifier(SCHEMA, f"clear_{unique}"),
        "clear_trigger": quote_identifier(f"zz_ragkit_clear_{unique}"),
        "wake": quote_identifier(SCHEMA, "wake"),
        "wake_trigger": quote_identifier(f"zz_ragkit_wake_{unique}"),
        "channel": CHANNEL,
    }
