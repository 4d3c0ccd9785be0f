"""The trigger on the table of the texts: what changes there clears the vectors of its rows.

It writes to the migrated table in the app's own transaction, as the trigger there does: a vector
stands only beside its text. The columns are found by their numbers, so that they may be renamed.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import own_trigger, short_name
from ragkit.migration.terms.lookup import Lookup
from ragkit.migration.work.tables import queue_partition
from ragkit.retrieval.contract import SCHEMA

# Places of format(): the key there, then of the table the column that names it, the vector, the
# key's columns. What the update clears, the table's own trigger puts into the queue.
_STALE = """with cleared as (
    update {table} c set %3$I = null where c.%2$I = ($1).%1$I and c.%3$I is not null
) insert into {queue} (migration, key) select {migration}, {key} from {table} c
where c.%2$I = ($1).%1$I and c.%3$I is null"""
_WATCH = """
create or replace function {watch}() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp as ${tag}$
declare
    fields name[] := (
        select array_agg(a.attname order by n.place)
        from unnest('{{{relations}}}'::oid[], '{{{attnums}}}'::int2[])
            with ordinality as n(relation, number, place)
        join pg_attribute a on a.attrelid = n.relation and a.attnum = n.number
            and not a.attisdropped);
begin
    if cardinality(fields) < {count} then
        return null;
    end if;
    if tg_op = 'TRUNCATE' then
        execute format('update {escaped_table} set %1$I = null where %1$I is not null', fields[3]);
        return null;
    end if;
    if tg_op <> 'INSERT' then
        execute format($q_{tag}${stale}$q_{tag}$, variadic fields) using old;
    end if;
    if tg_op <> 'DELETE' then
        execute format($q_{tag}${stale}$q_{tag}$, variadic fields) using new;
    end if;
    return null;
end ${tag}$
"""
_TRIGGERS = (
    """create or replace trigger {insert} after insert or delete on {texts} for each row
    execute function {watch}()""",
    """create or replace trigger {update} after update on {texts} for each row
    when (old.{column} is distinct from new.{column} or old.{text_key} is distinct from
          new.{text_key})
    execute function {watch}()""",
    """create or replace trigger {truncate} after truncate on {texts} for each statement
    execute function {watch}()""",
    """alter table {texts} enable always trigger {insert}, enable always trigger {update},
    enable always trigger {truncate}""",
)
_KINDS = ("texts insert", "texts update", "texts truncate")
_NUMBERS = sa.text("""
    select to_regclass(:table)::oid::bigint as oid,
           (select json_object_agg(attname, attnum) from pg_attribute
            where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped) as by_name,
           (select max(attnum) + 1 from pg_attribute
            where attrelid = to_regclass(:table)) as next
""")


def create_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    """Also for a new column that is not there yet."""
    texts = migration.terms.content
    if not isinstance(texts, Lookup):
        return []
    other = connection.execute(_NUMBERS, {"table": texts.table}).one()
    own = connection.execute(_NUMBERS, {"table": migration.quoted_table}).one()
    column, key = migration.plan.new.column, migration.terms.key
    numbers = {column: own.next, **own.by_name}
    columns = [texts.by, column, *key.names]
    table = migration.quoted_table
    places = [f"%{place}$I" for place in range(4, 4 + len(key.names))]
    stale = _STALE.format(
        table=table.replace("%", "%%"), queue=queue_partition(migration.id),
        migration=quote_literal(migration.id).replace("%", "%%"), key=key.text_of("c", places),
    )  # fmt: skip
    insert, update, truncate = map(quote_identifier, trigger_names(migration))
    names = {
        "tag": short_name("body", migration.id),
        "watch": quote_identifier(SCHEMA, short_name("texts", migration.id)),
        "relations": ",".join(map(str, [other.oid, *(own.oid for _ in columns)])),
        "attnums": ",".join(
            map(str, [other.by_name[texts.key], *(numbers[name] for name in columns)])
        ),
        "count": str(1 + len(columns)),
        "escaped_table": table.replace("%", "%%").replace("'", "''"),
        "stale": stale,
        "texts": texts.table,
        "column": quote_identifier(texts.column),
        "text_key": quote_identifier(texts.key),
        "insert": insert,
        "update": update,
        "truncate": truncate,
    }
    return [part.format(**names).strip() for part in (_WATCH, *_TRIGGERS)]


def drop_sql(migration: Migration) -> Iterator[str]:
    texts = migration.terms.content
    if isinstance(texts, Lookup):
        for name in trigger_names(migration):
            yield f"drop trigger if exists {quote_identifier(name)} on {texts.table}"
        watch = quote_identifier(SCHEMA, short_name("texts", migration.id))
        yield f"drop function if exists {watch}()"


def trigger_names(migration: Migration) -> Iterator[str]:
    """Those on the table of the texts."""
    return (own_trigger(kind, migration.id) for kind in _KINDS)
