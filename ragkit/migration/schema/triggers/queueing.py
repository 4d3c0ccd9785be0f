"""The function that puts the keys of rows into the queue, and the statements in it."""

from collections.abc import Mapping

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.schema.consistency import short_name
from ragkit.retrieval.contract import SCHEMA

# By the rights of its owner, because the app's role has none on the queue. While the columns have
# the names they had, the statements are the prepared ones. The names are looked up by a function
# that reads no table: a query would cost the app twice as much. 1259 is pg_class.
QUEUE = """
create or replace function {enqueue}() returns trigger language plpgsql
security definer set search_path = pg_catalog, pg_temp{settings} as ${tag}$
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


def queueing(
    migration: Migration, numbers: Mapping[str, int], names: Mapping[str, str]
) -> dict[str, str]:
    """The statements that fill the queue, with the columns by their names, and by the places of
    format()."""
    where, key = migration.terms.where, migration.terms.key
    reads = where.reads if where else ()
    columns = list(dict.fromkeys([*key.names, migration.plan.new.column, *reads]))

    def fill(part: str, row: str, named: Mapping[str, str], migration_id: str) -> str:
        called = ""
        if where:
            function = function_name("where", migration)
            called = f" and {where.called(function, row, [named[c] for c in reads])}"
        return part.format(
            queue=names["queue"], migration=migration_id,
            key=key.text_of(row, [named[c] for c in key.names]),
            column=named[migration.plan.new.column], where=called,
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
        "settings": key.settings,
        "attnum": str(numbers[migration.plan.new.column]),
        "has_names": "\n       and ".join(has_names),
        "attnums": ",".join(str(numbers[name]) for name in columns),
        "count": str(len(columns)),
        "of_row": fill(_OF_ROW, "new", fixed, names["migration"]),
        "of_statement": fill(_OF_STATEMENT, "w", fixed, names["migration"]),
        "renamed_of_row": fill(_OF_ROW, "($1)", placed, escaped),
        "renamed_of_statement": fill(_OF_STATEMENT, "w", placed, escaped),
    }


def function_name(kind: str, migration: Migration) -> str:
    """Of a function of the migration in ragkit's schema, as SQL."""
    return quote_identifier(SCHEMA, short_name(kind, migration.id))
