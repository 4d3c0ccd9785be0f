"""The functions that search the table, again in the view's schema, such as Supabase's
`match_documents`: the new revision calls them by the same name, and they read the view."""

import re
from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.versioned_view.statements import MARK

# In a string: a body as the SQL standard has it keeps the table that it was made with.
_SEARCHING = sa.text("""
    select p.proname as name, pg_get_function_identity_arguments(p.oid) as arguments,
           pg_get_functiondef(p.oid) as definition, p.prosqlbody is not null as is_bound,
           p.proacl is null as is_for_all, p.prosecdef as is_definer,
           nullif(pg_get_userbyid(p.proowner), current_user) as other_owner,
           array(select coalesce(quote_ident(r.rolname), 'public') from aclexplode(p.proacl) a
                 left join pg_roles r on r.oid = a.grantee
                 where a.grantee <> p.proowner order by 1) as grantees,
           (select quote_ident(n.nspname) from pg_extension e
            join pg_namespace n on n.oid = e.extnamespace where e.extname = 'vector') as vectors
    from pg_proc p join pg_language l on l.oid = p.prolang
    where p.pronamespace = to_regnamespace(:schema) and p.prokind = 'f'
      and l.lanname in ('sql', 'plpgsql')
      and exists (select from unnest(p.proargtypes) as a (oid) join pg_type t using (oid)
                  where t.typname in ('vector', 'halfvec'))
    order by 1, 2
""")
_HEAD = r'^CREATE OR REPLACE FUNCTION ("(?:[^"]|"")+"|\w+)\.'
_START, _END = r'(?<![\w$"])', r'(?![\w$"])'
_COPIED = sa.text("""
    select p.oid::regprocedure::text from pg_proc p
    where p.pronamespace = to_regnamespace(:schema)
      and obj_description(p.oid, 'pg_proc') = :mark order by 1
""")


def copy_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    """Makes them, with the rights of those that they are copied from. Safe to repeat."""
    schema = quote_identifier(migration.plan.app.view_schema)
    own = quote_identifier(migration.plan.table.schema_name)
    sql: list[str] = []
    for found in _searching(connection, migration):
        path = f"{schema}, {own}, {found.vectors}, pg_temp"
        copied = f"{schema}.{quote_identifier(found.name)}({found.arguments})"
        if not sql:
            sql.append(f"set local search_path to {path}")
        sql.append(_moved(found.definition, migration))
        sql.append(f"alter function {copied} set search_path to {path}")
        sql.append(f"comment on function {copied} is {quote_literal(_mark(migration))}")
        if not found.is_for_all:
            sql.append(f"revoke all on function {copied} from public")
            sql += [f"grant execute on function {copied} to {name}" for name in found.grantees]
        if found.is_definer:  # whoever calls it may have no right on the table
            callers = ["public"] if found.is_for_all else found.grantees
            sql += [f"grant usage on schema {schema} to {name}" for name in callers]
    return sql


def drop_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    schema = quote_identifier(migration.plan.app.view_schema)
    values = {"schema": schema, "mark": _mark(migration)}
    names = connection.scalars(_COPIED, values)
    return [f"drop function {name}" for name in names]


def function_faults(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """Functions that search the table and cannot be moved to the view."""
    for found in _searching(connection, migration):
        name = f"the function {found.name}({found.arguments})"
        if found.is_bound:
            yield (
                f"{name} is bound to the table by its body (BEGIN ATOMIC or RETURN): write the "
                "body as a string, or set app.way to another one"
            )
        elif found.is_definer and found.other_owner:
            yield (
                f"{name} runs by the rights of {found.other_owner} (SECURITY DEFINER), which a "
                f"copy would not: run ragkit as {found.other_owner}, or set app.way to another one"
            )


def _searching(connection: sa.Connection, migration: Migration) -> Iterator[sa.Row]:  # type: ignore[type-arg]
    table = migration.plan.table
    named = re.compile(rf"{_START}{_spelled(table.name)}{_END}")
    values = {"schema": quote_identifier(table.schema_name)}
    for found in connection.execute(_SEARCHING, values).all():
        if named.search(re.sub(_HEAD, "", found.definition, count=1)):
            yield found


def _moved(definition: str, migration: Migration) -> str:
    """In the view's schema; and so is the table wherever its schema is named."""
    table, view = migration.plan.table, quote_identifier(migration.plan.app.view_schema)
    schema, name = _spelled(table.schema_name), _spelled(table.name)
    rest = re.sub(_HEAD, "", definition, count=1)
    rest = re.sub(rf"{_START}{schema}\s*\.\s*({name}){_END}", lambda m: f"{view}.{m[1]}", rest)
    return f"create or replace function {view}.{rest}"


def _spelled(name: str) -> str:
    """A regular expression for the ways in which SQL writes a name."""
    quoted = re.escape('"' + name.replace('"', '""') + '"')
    is_plain = name == name.lower() and re.fullmatch(r"[^\W\d][\w$]*", name)
    return rf"(?:{quoted}|(?i:{re.escape(name)}))" if is_plain else quoted


def _mark(migration: Migration) -> str:
    return f"{MARK}{migration.id}"
