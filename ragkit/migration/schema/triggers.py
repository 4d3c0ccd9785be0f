"""The triggers on the table: a changed text clears its vector, a pending row wakes followers."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import clear_trigger, later_triggers
from ragkit.retrieval.contract import SCHEMA

CHANNEL = "ragkit"
"""Of NOTIFY."""

# The column is found by its number, so that it may be renamed; once it is dropped, nothing is done.
_CLEAR = """
create or replace function {clear}() returns trigger language plpgsql as $body$
declare
    field name := (
        select attname from pg_catalog.pg_attribute
        where attrelid = tg_relid and attnum = tg_argv[0]::smallint and not attisdropped);
begin
    -- the vector was made from the text before this write
    if field is not null then
        new := jsonb_populate_record(new, jsonb_build_object(field, null));
    end if;
    return new;
end $body$
"""
_CLEAR_TRIGGER = """
create or replace trigger {clear_trigger} before update on {table} for each row
when (old.{content} is distinct from new.{content}
      and old.{column} is not distinct from new.{column})
execute function {clear}({attnum})
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
# In a session that replicates or restores, too.
_ALWAYS = """
alter table {table} enable always trigger {clear_trigger}, enable always trigger {wake_trigger}
"""
_ATTNUM = sa.text("""
    select coalesce(max(attnum) filter (where attname = :column and not attisdropped),
                    max(attnum) + 1)
    from pg_attribute where attrelid = to_regclass(:table)
""")
_ENABLED = sa.text("""
    select tgname, tgenabled::text from pg_trigger
    where tgrelid = to_regclass(:table) and not tgisinternal
""")


def add_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    for statement in add_triggers_sql(connection, migration):
        connection.exec_driver_sql(statement)


def add_triggers_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    """For a column that is not there yet, with the number that it will have."""
    column = {"table": migration.quoted_table, "column": migration.plan.new.column}
    names = {**_names(migration), "attnum": connection.scalar(_ATTNUM, column)}
    parts = (_CLEAR, _CLEAR_TRIGGER, _WAKE, _WAKE_TRIGGER, _ALWAYS)
    return [part.format(**names).strip() for part in parts]


def drop_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    for statement in drop_triggers_sql(migration):
        connection.exec_driver_sql(statement)


def drop_triggers_sql(migration: Migration) -> list[str]:
    names = _names(migration)
    return [
        f"drop trigger if exists {names['clear_trigger']} on {names['table']}",
        f"drop trigger if exists {names['wake_trigger']} on {names['table']}",
        f"drop function if exists {names['clear']}()",
    ]


def trigger_faults(connection: sa.Connection, migration: Migration) -> list[str]:
    """Why the triggers of `migration` do not see every write; [] when they do."""
    rows = connection.execute(_ENABLED, {"table": migration.quoted_table})
    enabled: dict[str, str] = {row.tgname: row.tgenabled for row in rows}
    faults = []
    for name in _trigger_names(migration):
        if name not in enabled:
            faults.append(f"{name} is missing")
        elif enabled[name] != "A":
            faults.append(f"{name} is {'disabled' if enabled[name] == 'D' else 'not ALWAYS'}")
    later = later_triggers(connection, migration.quoted_table, migration.id)
    return faults + [f"{name} fires after it and can change the text" for name in later]


def _trigger_names(migration: Migration) -> tuple[str, str]:
    """Of the one that clears and the one that wakes."""
    clear = clear_trigger(migration.id)
    return clear, clear.replace("_clear_", "_wake_")


def _names(migration: Migration) -> dict[str, str]:
    """SQL names, quoted."""
    clear, wake = _trigger_names(migration)
    return {
        "table": migration.quoted_table,
        "column": quote_identifier(migration.plan.new.column),
        "content": quote_identifier(migration.plan.table.content),
        "clear": quote_identifier(SCHEMA, clear.removeprefix("zz_ragkit_")),
        "clear_trigger": quote_identifier(clear),
        "wake": quote_identifier(SCHEMA, "wake"),
        "wake_trigger": quote_identifier(wake),
        "channel": CHANNEL,
    }
