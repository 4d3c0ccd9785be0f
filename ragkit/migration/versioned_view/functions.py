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
           p.proacl is null as is_for_all,
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
      and pg_get_functiondef(p.oid) ~ :names
    order by 1, 2
""")
_HEAD = r'^CREATE OR REPLACE FUNCTION ("(?:[^"]|"")+"|\w+)\.'
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
        if found.is_bound:
            continue
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
    return sql


def drop_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    schema = quote_identifier(migration.plan.app.view_schema)
    values = {"schema": schema, "mark": _mark(migration)}
    names = connection.scalars(_COPIED, values)
    return [f"drop function {name}" for name in names]


def function_faults(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """Functions that search the table and cannot be moved to the view."""
    for found in _searching(connection, migration):
        if found.is_bound:
            yield (
                f"the function {found.name}({found.arguments}) is bound to the table by its body "
                "(BEGIN ATOMIC or RETURN): write the body as a string, or set app.way to another "
                "one"
            )


def _searching(connection: sa.Connection, migration: Migration) -> Iterator[sa.Row]:  # type: ignore[type-arg]
    table = migration.plan.table
    names = rf"(?<!\w){re.escape(table.name)}(?!\w)"
    values = {"schema": quote_identifier(table.schema_name), "names": names}
    yield from connection.execute(_SEARCHING, values).all()


def _moved(definition: str, migration: Migration) -> str:
    """In the view's schema; and so is the table wherever its schema is named."""
    schema = migration.plan.table.schema_name
    named = rf'(?<![\w"])("{re.escape(schema)}"|{re.escape(schema)})\s*\.\s*'
    table = rf'("{re.escape(migration.plan.table.name)}"|{re.escape(migration.plan.table.name)})'
    view = quote_identifier(migration.plan.app.view_schema)
    rest = re.sub(_HEAD, "", definition, count=1)
    rest = re.sub(rf"{named}{table}(?!\w)", lambda m: f"{view}.{m[2]}", rest)
    return f"create or replace function {view}.{rest}"


def _mark(migration: Migration) -> str:
    return f"{MARK}{migration.id}"
