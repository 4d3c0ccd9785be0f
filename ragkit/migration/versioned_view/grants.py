"""The rights on the table, again on the view: whoever may use the one may use the other."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.versioned_view.statements import view_name

# A role without a name is everybody. The owner of the view, who makes it, has all rights.
_GRANTS = sa.text("""
    select grantee, name, string_agg(privilege, ', ' order by privilege) as privileges, may_grant
    from (
        select r.rolname as grantee, null as name, privilege_type as privilege,
               is_grantable as may_grant
        from pg_class c cross join aclexplode(coalesce(c.relacl, acldefault('r', c.relowner)))
        left join pg_roles r on r.oid = grantee where c.oid = to_regclass(:table)
        union
        select r.rolname, a.attname, privilege_type, is_grantable
        from pg_attribute a cross join aclexplode(a.attacl) left join pg_roles r on r.oid = grantee
        where a.attrelid = to_regclass(:table) and not a.attisdropped and a.attnum > 0
    ) as granted
    where privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
      and grantee is distinct from current_user
    group by grantee, name, may_grant order by grantee, name nulls first, may_grant
""")


def grant_sql(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """A right on the old column alone becomes one on the new column too, which the view asks for
    and which outlasts it."""
    plan, view = migration.plan, view_name(migration)
    grants = connection.execute(_GRANTS, {"table": migration.quoted_table}).all()
    grantees = dict.fromkeys(_grantee(grant.grantee) for grant in grants)
    schema = quote_identifier(plan.app.view_schema)
    for grantee in grantees:
        yield f"grant usage on schema {schema} to {grantee}"
    for grant in grants:
        if grant.name == plan.new.column:
            continue
        to = f"to {_grantee(grant.grantee)}{' with grant option' if grant.may_grant else ''}"
        if grant.name is None:
            yield f"grant {grant.privileges} on {view} {to}"
            continue
        yield f"grant {_on_column(grant.privileges, grant.name)} on {view} {to}"
        if grant.name == plan.old.column:
            column = _on_column(grant.privileges, plan.new.column)
            yield f"grant {column} on {migration.quoted_table} {to}"


def _grantee(name: str | None) -> str:
    return quote_identifier(name) if name else "public"


def _on_column(privileges: str, column: str) -> str:
    name = quote_identifier(column)
    return ", ".join(f"{privilege} ({name})" for privilege in privileges.split(", "))
