"""The triggers on the table: a changed text clears its vector, and a row that is written without a
vector is put into the queue.

Inserts are seen by one trigger for each statement, where that sees all of them: a bulk insert then
costs one statement more. Updates are seen by row, because almost all have their vector, and then
nothing is called.

A partitioned table is watched by row: such triggers its partitions have too, also those that come
later. A partition has its own column numbers, so that names are looked up in the root.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import own_trigger, short_name
from ragkit.migration.schema.side_table import triggers as beside
from ragkit.migration.schema.text_table import triggers as text_table
from ragkit.migration.schema.triggers.conditions import KINDS, conditions, functions_sql
from ragkit.migration.schema.triggers.queueing import QUEUE, function_name, queueing
from ragkit.migration.work.tables import (
    create_partition_sql,
    drop_partition_sql,
    queue_partition,
)

# The column is found by its number, so that it may be renamed; once it is dropped, nothing is done.
_CLEAR = """
create or replace function {clear}() returns trigger language plpgsql as ${tag}$
declare
    field name := (
        select attname from pg_catalog.pg_attribute
        where attrelid = {relation} and attnum = tg_argv[0]::smallint and not attisdropped);
begin
    -- the vector was made from the text before this write
    if field is not null then
        new := jsonb_populate_record(new, jsonb_build_object(field, null));
    end if;
    return new;
end ${tag}$
"""
_CLEAR_TRIGGER = """
create or replace trigger {clear_trigger} before update on {table} for each row
when ({is_changed} and old.{column} is not distinct from new.{column})
execute function {clear}({attnum})
"""
_BY_STATEMENT = """
create or replace trigger {insert_trigger} after insert on {table}
referencing new table as written for each statement
execute function {enqueue}()
"""
_BY_ROW = """
create or replace trigger {insert_trigger} after insert on {table} for each row
when ({is_pending}) execute function {enqueue}()
"""
_UPDATE_TRIGGER = """
create or replace trigger {update_trigger} after update on {table} for each row
when ({is_pending}) execute function {enqueue}()
"""
# In a session that replicates or restores, too.
_ALWAYS = """
alter table {table} enable always trigger {clear_trigger},
    enable always trigger {insert_trigger}, enable always trigger {update_trigger}
"""
_NUMBERS = sa.text("""
    select (select json_object_agg(attname, attnum) from pg_attribute
            where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped) as by_name,
           (select max(attnum) + 1 from pg_attribute
            where attrelid = to_regclass(:table)) as next,
           exists (select from pg_subscription_rel
                   where srrelid = to_regclass(:table)) as subscribes,
           (select relkind = 'p' from pg_class
            where oid = to_regclass(:table)) as is_partitioned
""")
_ROOT = "coalesce(pg_catalog.pg_partition_root(tg_relid), tg_relid)"


def add_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    for statement in add_triggers_sql(connection, migration):
        connection.exec_driver_sql(statement)


def add_triggers_sql(
    connection: sa.Connection, migration: Migration, found_as: str = ""
) -> list[str]:
    """For a column that is not there yet, with the number that it will have. The queue's part comes
    last: it locks the queue, for which an app that has locked the table may wait. `found_as`: the
    name of a column that is about to be renamed.

    Of rows that logical replication applies, only triggers by row see anything.
    """
    found = connection.execute(_NUMBERS, {"table": migration.quoted_table}).one()
    by_row = found.subscribes or found.is_partitioned
    if migration.new_side:
        key, content = (found.by_name[c] for c in (migration.key.name, migration.content.name))
        own = beside.create_sql(migration, key, content, by_row=found.subscribes)
        return [*own, create_partition_sql(migration.id)]
    new = migration.plan.new.column
    numbers = {new: found.next, **found.by_name}
    if found_as:
        numbers[new] = found.by_name.get(found_as, found.next)
    names = {**_names(migration), "relation": _ROOT if found.is_partitioned else "tg_relid"}
    names |= {**conditions(migration), **queueing(migration, numbers, names)}
    insert = _BY_ROW if by_row else _BY_STATEMENT
    parts = (_CLEAR, _CLEAR_TRIGGER, QUEUE, insert, _UPDATE_TRIGGER, _ALWAYS)
    return [
        *functions_sql(migration),
        *(part.format(**names).strip() for part in parts),
        *text_table.create_sql(connection, migration, found_as),
        create_partition_sql(migration.id),
    ]


def is_own(statement: str) -> bool:
    """Whether one of `add_triggers_sql` locks nothing of the app's."""
    return statement.startswith(("create table", "create or replace function", "grant"))


def drop_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    for statement in drop_triggers_sql(migration):
        connection.exec_driver_sql(statement)


def drop_triggers_sql(migration: Migration) -> list[str]:
    if migration.new_side:
        return [*beside.drop_sql(migration), drop_partition_sql(migration.id)]
    names = _names(migration)
    triggers = (quote_identifier(name) for name in trigger_names(migration))
    return [
        *text_table.drop_sql(migration),
        *(f"drop trigger if exists {trigger} on {names['table']}" for trigger in triggers),
        f"drop function if exists {names['clear']}()",
        f"drop function if exists {names['enqueue']}()",
        *(f"drop function if exists {function_name(kind, migration)}" for kind in KINDS),
        drop_partition_sql(migration.id),
    ]


def trigger_names(migration: Migration) -> Iterator[str]:
    """Of the one that clears, and of those that see inserts and updates; or those of a side
    table."""
    if migration.new_side:
        return beside.trigger_names(migration)
    return (own_trigger(kind, migration.id) for kind in ("clear", "insert", "update"))


def _names(migration: Migration) -> dict[str, str]:
    """SQL names and literals, quoted."""
    clear, insert, update = map(quote_identifier, trigger_names(migration))
    return {
        "tag": short_name("body", migration.id),
        "table": migration.quoted_table,
        "column": quote_identifier(migration.plan.new.column),
        "migration": quote_literal(migration.id),
        "queue": queue_partition(migration.id),
        "clear": function_name("clear", migration),
        "enqueue": function_name("queue", migration),
        "clear_trigger": clear,
        "insert_trigger": insert,
        "update_trigger": update,
    }
