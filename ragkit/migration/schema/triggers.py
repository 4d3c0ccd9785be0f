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
from ragkit.migration.work.tables import (
    create_partition_sql,
    drop_partition_sql,
    queue_partition,
)
from ragkit.retrieval.contract import SCHEMA

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
when (old.{content} is distinct from new.{content}
      and old.{column} is not distinct from new.{column})
execute function {clear}({attnum})
"""
# By the rights of its owner, because the app's role has none on the queue. While the columns have
# the names they had, the statements are the prepared ones. The names are looked up by a function
# that reads no table: a query would cost the app twice as much. 1259 is pg_class.
_QUEUE = """
create or replace function {enqueue}() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as ${tag}$
declare
    key name;
    field name;
begin
    if (pg_identify_object_as_address(1259, {relation}, {key_attnum})).object_names[3] = {key_name}
       and (pg_identify_object_as_address(1259, {relation}, {attnum})).object_names[3]
           = {column_name} then
        if tg_level = 'ROW' then
            insert into {queue} (migration, key) values ({migration}, new.{key}::text);
        else
            insert into {queue} (migration, key)
            select {migration}, w.{key}::text from written as w where w.{column} is null;
        end if;
        return null;
    end if;
    select max(attname) filter (where attnum = {key_attnum}),
           max(attname) filter (where attnum = {attnum})
    into key, field from pg_attribute where attrelid = {relation} and not attisdropped;
    if key is not null and field is not null then
        if tg_level = 'ROW' then
            execute format('insert into {queue} (migration, key) values (%L, ($1).%I::text)',
                           {migration}, key) using new;
        else
            execute format('insert into {queue} (migration, key) select %L, w.%I::text '
                           'from written as w where w.%I is null', {migration}, key, field);
        end if;
    end if;
    return null;
end ${tag}$
"""
_BY_STATEMENT = """
create or replace trigger {insert_trigger} after insert on {table}
referencing new table as written for each statement
execute function {enqueue}()
"""
_BY_ROW = """
create or replace trigger {insert_trigger} after insert on {table} for each row
when (new.{column} is null) execute function {enqueue}()
"""
_UPDATE_TRIGGER = """
create or replace trigger {update_trigger} after update on {table} for each row
when (new.{column} is null) execute function {enqueue}()
"""
# In a session that replicates or restores, too.
_ALWAYS = """
alter table {table} enable always trigger {clear_trigger},
    enable always trigger {insert_trigger}, enable always trigger {update_trigger}
"""
_NUMBERS = sa.text("""
    select max(attnum) filter (where attname = :key) as key,
           max(attnum) filter (where attname = :content) as content,
           coalesce(max(attnum) filter (where attname = :column and not attisdropped),
                    max(attnum) + 1) as vector,
           exists (select from pg_subscription_rel
                   where srrelid = to_regclass(:table)) as subscribes,
           (select relkind = 'p' from pg_class
            where oid = to_regclass(:table)) as is_partitioned
    from pg_attribute where attrelid = to_regclass(:table)
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
    table = migration.plan.table
    column = found_as or migration.plan.new.column
    columns = {"table": migration.quoted_table, "column": column}
    columns |= {"key": table.key, "content": table.content}
    numbers = connection.execute(_NUMBERS, columns).one()
    if migration.new_side:
        by_row = numbers.subscribes
        own = beside.create_sql(migration, numbers.key, numbers.content, by_row=by_row)
        return [*own, create_partition_sql(migration.id)]
    names = {**_names(migration), "attnum": numbers.vector, "key_attnum": numbers.key}
    names["relation"] = _ROOT if numbers.is_partitioned else "tg_relid"
    insert = _BY_ROW if numbers.subscribes or numbers.is_partitioned else _BY_STATEMENT
    parts = (_CLEAR, _CLEAR_TRIGGER, _QUEUE, insert, _UPDATE_TRIGGER, _ALWAYS)
    return [*(part.format(**names).strip() for part in parts), create_partition_sql(migration.id)]


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
        *(f"drop trigger if exists {trigger} on {names['table']}" for trigger in triggers),
        f"drop function if exists {names['clear']}()",
        f"drop function if exists {names['enqueue']}()",
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
    plan, table = migration.plan, migration.plan.table
    clear, insert, update = map(quote_identifier, trigger_names(migration))
    return {
        "tag": short_name("body", migration.id),
        "table": migration.quoted_table,
        "column": quote_identifier(plan.new.column),
        "column_name": quote_literal(plan.new.column),
        "key": quote_identifier(table.key),
        "key_name": quote_literal(table.key),
        "content": quote_identifier(table.content),
        "migration": quote_literal(migration.id),
        "queue": queue_partition(migration.id),
        "clear": quote_identifier(SCHEMA, short_name("clear", migration.id)),
        "enqueue": quote_identifier(SCHEMA, short_name("queue", migration.id)),
        "clear_trigger": clear,
        "insert_trigger": insert,
        "update_trigger": update,
    }
