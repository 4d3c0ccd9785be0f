"""The triggers by which a side table follows the app's table.

They write to ragkit's own tables only, and wait for nobody. An update that changes neither text
nor key, and leaves the row on its page, calls nothing.
"""

from collections.abc import Iterator

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import own_trigger
from ragkit.migration.schema.side_table.names import names_of
from ragkit.retrieval.side_table import digest_sql

KINDS = ("insert", "update", "delete", "truncate")

# {k} and {c} are the names of key and content, {old} and {new} the row before and after.
_INSERTED = "insert into {queue} (migration, key) select {migration}, w.{k}::text from {written} w"
_UPDATED = """with unfit as (
    delete from {side} d where d.{side_key} = any (array(
        select s.{side_key} from {side} s
        where s.{side_key} = {old}.{k} and (s.{side_key}, s.{side_digest})
              is distinct from ({new}.{k}, {new_digest})
        for update skip locked))
) insert into {queue} (migration, key) select {migration}, w.key::text
from (select {new}.{k} union select {old}.{k}) w(key)
where not exists (select from {side} s
                  where s.{side_key} = w.key and s.{side_digest} = {new_digest})"""
# A row without a vector may get one from a backfill that has just read it: then its key tells.
_DELETED = """with cleared as (
    delete from {side} d where d.{side_key} = any (array(
        select s.{side_key} from {side} s
        where s.{side_key} = any (array(select g.{k} from {gone} g))
        for update skip locked))
    returning d.{side_key} as key
) insert into {queue} (migration, key) select {migration}, g.{k}::text from {gone} g
where not exists (select from cleared where cleared.key = g.{k})"""
# By the rights of its owner, because the app's role has none. The columns are found by their
# numbers, so that they may be renamed; while they have their names, the statements are prepared.
_WATCH = """
create or replace function {watch}() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp{settings} as ${tag}$
declare
    key_name name;
    content_name name;
begin
    if to_regclass('{side}') is null then
        return null;  -- a later migration has dropped it
    elsif tg_op = 'TRUNCATE' then
        truncate {side};
        return null;
    end if;
    select max(attname) filter (where attnum = tg_argv[0]::smallint),
           max(attname) filter (where attnum = tg_argv[1]::smallint)
    into key_name, content_name from pg_attribute where attrelid = tg_relid and not attisdropped
        and attnum in (tg_argv[0]::smallint, tg_argv[1]::smallint);
    if key_name = {key_name} and content_name = {content_name} then
        if tg_op = 'INSERT' then
            {inserted};
        elsif tg_op = 'UPDATE' then
            {updated};
        else
            {deleted};
        end if;
    elsif key_name is not null and content_name is not null then
        if tg_op = 'INSERT' then
            execute format($s${renamed_inserted}$s$, key_name, content_name){values};
        elsif tg_op = 'UPDATE' then
            execute format($s${renamed_updated}$s$, key_name, content_name) using old, new;
        else
            execute format($s${renamed_deleted}$s$, key_name, content_name){values};
        end if;
    end if;
    return null;
end ${tag}$
"""
_INSERT = """
create or replace trigger {insert} after insert on {table}
{seeing_written} execute function {watch}({key_attnum}, {content_attnum})
"""
_UPDATE = """
create or replace trigger {update} after update on {table} for each row
when (old.{key} is distinct from new.{key} or old.{content} is distinct from new.{content}
      or (old.ctid::text::point)[0] <> (new.ctid::text::point)[0])
execute function {watch}({key_attnum}, {content_attnum})
"""
_DELETE = """
create or replace trigger {delete} after delete on {table}
{seeing_gone} execute function {watch}({key_attnum}, {content_attnum})
"""
_TRUNCATE = """
create or replace trigger {truncate} after truncate on {table}
for each statement execute function {watch}({key_attnum}, {content_attnum})
"""
# In a session that replicates or restores, too.
_ALWAYS = """
alter table {table} enable always trigger {insert}, enable always trigger {update},
    enable always trigger {delete}, enable always trigger {truncate}
"""
_BY_STATEMENT = {
    "written": "written", "seeing_written": "referencing new table as written for each statement",
    "gone": "gone", "seeing_gone": "referencing old table as gone for each statement",
    "values": "",
}  # fmt: skip
_BY_ROW = {
    "written": "(select {new}.*)", "seeing_written": "for each row",
    "gone": "(select {old}.*)", "seeing_gone": "for each row", "values": " using old, new",
}  # fmt: skip


def create_sql(
    migration: Migration, key_attnum: int, content_attnum: int, *, by_row: bool
) -> list[str]:
    """`by_row` where rows come by logical replication, which fires no other triggers."""
    seeing = _BY_ROW if by_row else _BY_STATEMENT
    names = {**names_of(migration), **seeing}
    names |= {kind: quote_identifier(own_trigger(kind, migration.id)) for kind in KINDS}
    names |= {"key_attnum": f"{key_attnum}", "content_attnum": f"{content_attnum}"}
    names["settings"] = migration.terms.key.settings
    parts = {"inserted": _INSERTED, "updated": _UPDATED, "deleted": _DELETED}
    here = {"k": names["key"], "c": names["content"], "old": "old", "new": "new"}
    renamed = {"k": "%1$I", "c": "%2$I", "old": "($1)", "new": "($2)"}
    escaped = {name: text.replace("%", "%%") for name, text in names.items()}
    for name, part in parts.items():
        names[name] = _statement(part, names, here)
        names[f"renamed_{name}"] = _statement(part, escaped, renamed)
    bodies = (_WATCH, _INSERT, _UPDATE, _DELETE, _TRUNCATE, _ALWAYS)
    return [body.format(**names).strip() for body in bodies]


def trigger_names(migration: Migration) -> Iterator[str]:
    return (own_trigger(kind, migration.id) for kind in KINDS)


def drop_sql(migration: Migration) -> list[str]:
    names = names_of(migration)
    return [
        *(
            f"drop trigger if exists {quote_identifier(name)} on {names['table']}"
            for name in trigger_names(migration)
        ),
        f"drop function if exists {names['watch']}()",
    ]


def _statement(part: str, names: dict[str, str], row: dict[str, str]) -> str:
    seeing = {name: names[name].format(**row) for name in ("written", "gone")}
    digest = digest_sql("{new}.{c}".format(**row))
    return part.format(**{**names, **row, **seeing, "new_digest": digest})
