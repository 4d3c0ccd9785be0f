"""The trigger on the table of the texts: what changes there clears the vectors of its rows.

It writes to the migrated table in the app's own transaction, as the trigger there does: a vector
stands only beside its text. The columns are found by their numbers, so that they may be renamed.
"""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import own_trigger, short_name
from ragkit.migration.schema.triggers.queueing import function_name
from ragkit.migration.terms.lookup import Lookup

# Places of format(): the key there, then of the table the column that names it, the vector, and
# what the filter reads. A row without a vector is written too: the table's own trigger then puts
# its key into the queue.
_OF_TEXT = """update {table} c set %3$I = null
where (c.%2$I operator({equals}) ($1).%1$I or c.%2$I operator({equals}) ($2).%1$I){where}"""
_OF_ALL = "update {table} c set %3$I = null where c.%3$I is not null{where}"
_CHANGE = """
create or replace function {change}(of_all boolean) returns text language plpgsql stable
set search_path = pg_catalog, pg_temp as ${tag}$
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
    elsif of_all then
        return format($q_{tag}${of_all}$q_{tag}$, variadic fields);
    end if;
    return format($q_{tag}${of_text}$q_{tag}$, variadic fields);
end ${tag}$
"""
# By the rights of its owner, but by the app's search_path, which the app's own triggers on the
# table may need: no name is left to it here.
_WATCH = """
create or replace function {watch}() returns trigger language plpgsql security definer as ${tag}$
declare
    change pg_catalog.text := {change}(tg_op operator(pg_catalog.=) 'TRUNCATE');
begin
    if change is null then
        return null;  -- a column is gone
    elsif tg_op operator(pg_catalog.=) 'TRUNCATE' then
        execute change;
    else
        execute change using coalesce(old, new), coalesce(new, old);
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
# The one by which the unique index of the texts compares.
_EQUALS = sa.text("""
    select quote_ident(n.nspname) || '.' || r.oprname
    from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    join pg_opclass o on o.oid = i.indclass[0]
    join pg_amop m on m.amopfamily = o.opcfamily and m.amopstrategy = 3
        and m.amoplefttype = o.opcintype and m.amoprighttype = o.opcintype
    join pg_operator r on r.oid = m.amopopr join pg_namespace n on n.oid = r.oprnamespace
    where i.indrelid = to_regclass(:table) and a.attname = :key and i.indisunique
      and i.indnkeyatts = 1
""")


def create_sql(connection: sa.Connection, migration: Migration, found_as: str = "") -> list[str]:
    """Also for a new column that is not there yet, or is about to be renamed."""
    texts = migration.terms.content
    if not isinstance(texts, Lookup):
        return []
    other = connection.execute(_NUMBERS, {"table": texts.table}).one()
    own = connection.execute(_NUMBERS, {"table": migration.quoted_table}).one()
    column, where = migration.plan.new.column, migration.terms.where
    numbers = {column: own.next, **own.by_name}
    if found_as:
        numbers[column] = own.by_name.get(found_as, own.next)
    reads = where.reads if where else ()
    columns = [texts.by, column, *reads]
    table, scope = migration.quoted_table, ""
    if where:
        places = [f"%{place}$I" for place in range(4, 4 + len(reads))]
        scope = f" and {where.called(function_name('where', migration), 'c', places)}"
    parts = {
        "table": table.replace("%", "%%"), "where": scope,
        "equals": connection.scalar(_EQUALS, {"table": texts.table, "key": texts.key}),
    }  # fmt: skip
    insert, update, truncate = map(quote_identifier, trigger_names(migration))
    names = {
        "tag": short_name("body", migration.id),
        "watch": function_name("texts", migration),
        "change": function_name("texts change", migration),
        "relations": ",".join(map(str, [other.oid, *(own.oid for _ in columns)])),
        "attnums": ",".join(
            map(str, [other.by_name[texts.key], *(numbers[name] for name in columns)])
        ),
        "count": str(1 + len(columns)),
        "of_text": _OF_TEXT.format(**parts),
        "of_all": _OF_ALL.format(**parts),
        "texts": texts.table,
        "column": quote_identifier(texts.column),
        "text_key": quote_identifier(texts.key),
        "insert": insert,
        "update": update,
        "truncate": truncate,
    }
    return [part.format(**names).strip() for part in (_CHANGE, _WATCH, *_TRIGGERS)]


def drop_sql(migration: Migration) -> Iterator[str]:
    texts = migration.terms.content
    if isinstance(texts, Lookup):
        for name in trigger_names(migration):
            yield f"drop trigger if exists {quote_identifier(name)} on {texts.table}"
        for kind in ("texts", "texts change"):
            yield f"drop function if exists {function_name(kind, migration)}"


def trigger_names(migration: Migration) -> Iterator[str]:
    """Those on the table of the texts."""
    return (own_trigger(kind, migration.id) for kind in _KINDS)
