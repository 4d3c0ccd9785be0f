"""What the role of a migration may not do yet, each as SQL that can be pasted as it is printed."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.retrieval.contract import CONTRACT, SCHEMA

_SCHEMA = sa.text("""
    select current_user as role, current_database() as database,
           has_schema_privilege(oid, 'USAGE') as usable
    from pg_namespace where nspname = :schema
""")
_TABLE = sa.text("""
    select current_user as role, current_database() as database, c.relkind::text as kind,
           c.relforcerowsecurity and not r.rolbypassrls and not r.rolsuper as hidden,
           o.rolname as owner, o.rolsuper as owner_is_superuser,
           pg_has_role(c.relowner, 'USAGE') as owns,
           has_schema_privilege(c.relnamespace, 'CREATE') as may_index,
           has_database_privilege(current_database(), 'TEMPORARY') as may_stage,
           has_database_privilege(current_database(), 'CREATE') as may_create,
           current_setting('server_version_num')::int >= 160000 as inherits_by_grant
    from pg_class c join pg_roles o on o.oid = c.relowner
    join pg_roles r on r.rolname = current_user
    where c.oid = to_regclass(:table)
""")
_READERS = sa.text("""
    select r.rolname from pg_roles r, pg_class c
    where c.oid = to_regclass(:table) and r.rolcanlogin and not r.rolsuper
      and not pg_has_role(r.oid, c.relowner, 'USAGE')
      and has_any_column_privilege(r.oid, c.oid, 'SELECT')
      and not pg_has_role(r.oid, 'pg_read_all_data', 'USAGE')
    order by 1
""")
_OWN_SCHEMA = sa.text("""
    select o.rolname as owner, pg_has_role(n.nspowner, 'USAGE') as owns
    from pg_namespace n join pg_roles o on o.oid = n.nspowner where n.nspname = :own
""")


def missing_schema_usage(connection: sa.Connection, schema: str) -> str | None:
    """None too when there is no such schema. Without this right, nothing of a table is seen."""
    row = connection.execute(_SCHEMA, {"schema": schema}).first()
    if row is None or row.usable:
        return None
    return (
        f"role {row.role} does not see the schema {schema}: "
        f"GRANT USAGE ON SCHEMA {quote_identifier(schema)} TO {quote_identifier(row.role)};"
    )


def missing_privileges(connection: sa.Connection, schema: str, regclass: str) -> Iterator[str]:
    """One text for each. `regclass` is the quoted table, which must exist."""
    table = connection.execute(_TABLE, {"table": regclass}).one()
    role, database = quote_identifier(table.role), quote_identifier(table.database)
    if table.hidden:
        yield (
            "row-level security is forced: rows that this role cannot see would be left out: "
            f"ALTER ROLE {role} BYPASSRLS;"
        )
    if not table.owns:
        yield f"role {table.role} cannot alter the table: {_ownership(table, regclass)}"
    if table.owns and not table.may_index:
        yield (
            f"role {table.role} cannot create an index in the table's schema: "
            f"GRANT CREATE ON SCHEMA {quote_identifier(schema)} TO {role};"
        )
    if not table.may_stage:
        yield (
            f"role {table.role} cannot create temporary tables: "
            f"GRANT TEMPORARY ON DATABASE {database} TO {role};"
        )
    own = connection.execute(_OWN_SCHEMA, {"own": SCHEMA}).first()
    if own is None and not table.may_create:
        yield (
            f"role {table.role} cannot create the schema {SCHEMA}: "
            f"GRANT CREATE ON DATABASE {database} TO {role};"
        )
    if own and not own.owns:
        yield (
            f"the schema {SCHEMA} belongs to {own.owner}: "
            f"{_membership(own.owner, role, by_grant=table.inherits_by_grant)}"
        )


def readers(connection: sa.Connection, regclass: str) -> list[str]:
    """Roles that may log in and read the table, but are not its owner: the app's is one of them."""
    return list(connection.scalars(_READERS, {"table": regclass}))


def app_grants(role: str, schema: str, *tables: str) -> list[str]:
    """The least that an app's role needs to search: SQL lines, for after the backfill began.
    `tables` are quoted: the app's own, and a side table."""
    name = quote_identifier(role)
    return [
        f"GRANT USAGE ON SCHEMA {quote_identifier(schema)}, {SCHEMA} TO {name};",
        f"GRANT SELECT ON {', '.join(tables)}, {SCHEMA}.{CONTRACT.name} TO {name};",
    ]


def _ownership(table: "sa.Row[Any]", regclass: str) -> str:
    """Membership in a superuser would be too much, and is not enough."""
    role = quote_identifier(table.role)
    if table.owner_is_superuser:
        return f"ALTER TABLE {regclass} OWNER TO {role};"
    return _membership(table.owner, role, by_grant=table.inherits_by_grant)


def _membership(owner: str, role: str, *, by_grant: bool) -> str:
    """Also for a role with NOINHERIT, which has no rights by a mere membership."""
    grant = f"GRANT {quote_identifier(owner)} TO {role}"
    return f"{grant} WITH INHERIT TRUE;" if by_grant else f"{grant}; ALTER ROLE {role} INHERIT;"
