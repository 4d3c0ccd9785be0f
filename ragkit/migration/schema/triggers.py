"""The triggers on the table: a changed text clears its vector, and a row that is written without a
vector is put into the queue.

Inserts are seen by one trigger for each statement, where that sees all of them: a bulk insert then
costs one statement more. Updates are seen by row, because almost all have their vector, and then
nothing is called.

A partitioned table is watched by row: such triggers its partitions have too, also those that come
later. A partition has its own column numbers, so that names are looked up in the root.
"""

from collections.abc import Iterator, Mapping

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
when ({is_changed} and old.{column} is not distinct from new.{column})
execute function {clear}({attnum})
"""
# By the rights of its owner, because the app's role has none on the queue. While the columns have
# the names they had, the statements are the prepared ones. The names are looked up by a function
# that reads no table: a query would cost the app twice as much. 1259 is pg_class.
_QUEUE = """
create or replace function {enqueue}() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as ${tag}$
declare
    fields name[];
begin
    if {has_names} then
        if tg_level = 'ROW' then
            {of_row};
        else
            {of_statement};
        end if;
        return null;
    end if;
    select array_agg(a.attname order by n.place) into fields
    from unnest('{{{attnums}}}'::int2[]) with ordinality as n(number, place)
    join pg_attribute a on a.attrelid = {relation} and a.attnum = n.number and not a.attisdropped;
    if cardinality(fields) = {count} then
        if tg_level = 'ROW' then
            execute format($q_{tag}${renamed_of_row}$q_{tag}$, variadic fields) using new;
        else
            execute format($q_{tag}${renamed_of_statement}$q_{tag}$, variadic fields);
        end if;
    end if;
    return null;
end ${tag}$
"""
_HAS_NAME = (
    "(pg_identify_object_as_address(1259, {relation}, {number})).object_names[3] = {literal}"
)
_OF_ROW = "insert into {queue} (migration, key) values ({migration}, {key})"
_OF_STATEMENT = """insert into {queue} (migration, key)
            select {migration}, {key} from written as w where w.{column} is null{where}"""
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
_KINDS = ("content", "where")
_ROOT = "coalesce(pg_catalog.pg_partition_root(tg_relid), tg_relid)"


def add_triggers(connection: sa.Connection, migration: Migration) -> None:
    """Those that watch the new column of `migration`. Safe to repeat."""
    for statement in add_triggers_sql(connection, migration):
        connection.exec_driver_sql(statement)


def add_triggers_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    """For a column that is not there yet, with the number that it will have. The queue's part comes
    last: it locks the queue, for which an app that has locked the table may wait.

    Of rows that logical replication applies, only triggers by row see anything.
    """
    found = connection.execute(_NUMBERS, {"table": migration.quoted_table}).one()
    by_row = found.subscribes or found.is_partitioned
    if migration.new_side:
        key, content = (found.by_name[c] for c in (migration.key.name, migration.content.name))
        own = beside.create_sql(migration, key, content, by_row=found.subscribes)
        return [*own, create_partition_sql(migration.id)]
    numbers = {migration.plan.new.column: found.next, **found.by_name}
    names = {**_names(migration), "relation": _ROOT if found.is_partitioned else "tg_relid"}
    names |= {**_conditions(migration), **_queueing(migration, numbers, names)}
    insert = _BY_ROW if by_row else _BY_STATEMENT
    parts = (_CLEAR, _CLEAR_TRIGGER, _QUEUE, insert, _UPDATE_TRIGGER, _ALWAYS)
    return [
        *_functions_sql(migration),
        *(part.format(**names).strip() for part in parts),
        create_partition_sql(migration.id),
    ]


def _functions_sql(migration: Migration) -> list[str]:
    """Of the expressions: a trigger's condition cannot hold a query."""
    content, where = migration.terms.content, migration.terms.where
    return [
        *content.function_sql(_function("content", migration)),
        *(where.function_sql(_function("where", migration)) if where else ()),
    ]


def _conditions(migration: Migration) -> dict[str, str]:
    """Those of the triggers."""
    content, where = migration.terms.content, migration.terms.where
    before, after = (content.called(_function("content", migration), r) for r in ("old", "new"))
    is_changed, is_pending = f"{before} is distinct from {after}", "new.{column} is null"
    if where:
        before, after = (where.called(_function("where", migration), r) for r in ("old", "new"))
        is_changed = f"{is_changed} and ({before} or {after})"
        is_pending = f"{is_pending} and {after}"
    column = quote_identifier(migration.plan.new.column)
    return {"is_changed": is_changed, "is_pending": is_pending.format(column=column)}


def _queueing(
    migration: Migration, numbers: Mapping[str, int], names: Mapping[str, str]
) -> dict[str, str]:
    """The statements that fill the queue, with the columns by their names, and by the places of
    format()."""
    where, key = migration.terms.where, migration.terms.key
    reads = where.reads if where else ()
    columns = list(dict.fromkeys([*key.names, migration.plan.new.column, *reads]))

    def fill(part: str, row: str, named: Mapping[str, str], migration_id: str) -> str:
        called = f"{_function('where', migration)}({', '.join(f'{row}.{named[c]}' for c in reads)})"
        return part.format(
            queue=names["queue"], migration=migration_id,
            key=key.text_of(row, [named[c] for c in key.names]),
            column=named[migration.plan.new.column], where=f" and {called}" if where else "",
        )  # fmt: skip

    fixed = {name: quote_identifier(name) for name in columns}
    placed = {name: f"%{place}$I" for place, name in enumerate(columns, 1)}
    escaped = names["migration"].replace("%", "%%")
    has_names = (
        _HAS_NAME.format(
            relation=names["relation"], number=numbers[name], literal=quote_literal(name)
        )
        for name in columns
    )
    return {
        "attnum": str(numbers[migration.plan.new.column]),
        "has_names": "\n       and ".join(has_names),
        "attnums": ",".join(str(numbers[name]) for name in columns),
        "count": str(len(columns)),
        "of_row": fill(_OF_ROW, "new", fixed, names["migration"]),
        "of_statement": fill(_OF_STATEMENT, "w", fixed, names["migration"]),
        "renamed_of_row": fill(_OF_ROW, "($1)", placed, escaped),
        "renamed_of_statement": fill(_OF_STATEMENT, "w", placed, escaped),
    }


def _function(kind: str, migration: Migration) -> str:
    return quote_identifier(SCHEMA, short_name(kind, migration.id))


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
        *(f"drop function if exists {_function(kind, migration)}" for kind in _KINDS),
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
        "clear": _function("clear", migration),
        "enqueue": _function("queue", migration),
        "clear_trigger": clear,
        "insert_trigger": insert,
        "update_trigger": update,
    }
