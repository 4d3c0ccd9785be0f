"""What is in the way of a view, or of a column's new name: objects that somebody made by hand."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.migration.migration import Migration
from ragkit.migration.versioned_view.functions import function_faults
from ragkit.migration.versioned_view.statements import INVOKER_VERSION, MARK, view_name

_STATE = sa.text("""
    select current_setting('server_version_num')::int as version, current_user as role,
           current_database() as database, n.oid is not null as has_schema,
           has_database_privilege(current_database(), 'CREATE') as may_create_schema,
           coalesce(has_schema_privilege(n.oid, 'CREATE'), false) as may_create_view,
           (select relkind::text from pg_class where oid = to_regclass(:view)) as kind,
           coalesce(obj_description(to_regclass(:view), 'pg_class'), '') as mark,
           (select relrowsecurity from pg_class where oid = to_regclass(:table)) as is_by_row,
           exists (select from pg_attribute where attrelid = to_regclass(:table)
                   and attacl is not null and not attisdropped) as is_by_column
    from (select) one left join pg_namespace n on n.nspname = :schema
""")
_HIDING = sa.text("""
    select h.relname from pg_class h join pg_namespace n on n.oid = h.relnamespace
    join pg_class c on c.relname = h.relname join pg_namespace t on t.oid = c.relnamespace
    where n.nspname = :schema and t.nspname = :own and h.relname <> :name
      and not starts_with(coalesce(obj_description(h.oid, 'pg_class'), ''), :mark) order by 1
""")
_SHOWING = sa.text("""
    select distinct case r.ev_class when to_regclass(:table) then 'rule ' || quote_ident(rulename)
               || ' of ' else '' end || r.ev_class::regclass
    from pg_depend d join pg_rewrite r on d.classid = 'pg_rewrite'::regclass and r.oid = d.objid
    join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:table)
      and a.attname = any (:columns)
      and r.ev_class is distinct from to_regclass(:view) order by 1
""")
# All but views and rules that keep the column from being dropped. Constraints go with it.
_NEEDING = sa.text("""
    select distinct pg_describe_object(d.classid, d.objid, d.objsubid)
    from pg_depend d join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    left join pg_trigger t on d.classid = 'pg_trigger'::regclass and t.oid = d.objid
    where d.refclassid = 'pg_class'::regclass and d.refobjid = to_regclass(:table)
      and a.attname = :column and d.deptype = 'n'
      and d.classid not in ('pg_rewrite'::regclass, 'pg_constraint'::regclass)
      and not coalesce(starts_with(t.tgname, 'zz_ragkit_'), false) order by 1
""")


def view_faults(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """Why the view of `migration` cannot be made, each with the way out."""
    plan, view = migration.plan, view_name(migration)
    name = plan.app.view_schema
    schema, other = quote_identifier(name), "or set app.view_schema to another name"
    values = {"view": view, "table": migration.quoted_table, "schema": name}
    state = connection.execute(_STATE, values).one()
    role = quote_identifier(state.role)
    if not state.has_schema and not state.may_create_schema:
        database = quote_identifier(state.database)
        yield f"no right to create the schema {name}: GRANT CREATE ON DATABASE {database} TO {role}"
    if state.has_schema and not state.may_create_view:
        yield f"no right to create a view in {name}: GRANT CREATE ON SCHEMA {schema} TO {role}"
    if state.kind and not state.mark.startswith(f"{MARK}{migration.id} ("):
        whose = "not made by ragkit"
        if state.mark.startswith(MARK):
            whose = f"made for {state.mark.removeprefix(MARK).rpartition(' (')[0]}"
        kind = "VIEW" if state.kind == "v" else "…"
        yield f"{view} is there, and {whose}: DROP {kind} {view}, {other}"
    hiding = {"schema": name, "own": plan.table.schema_name, "name": plan.table.name, "mark": MARK}
    for hidden in connection.scalars(_HIDING, hiding):
        yield (
            f"{name}.{hidden} would hide {plan.table.schema_name}.{hidden} from an app that finds "
            f"its tables by search_path: drop it, {other}"
        )
    yield from function_faults(connection, migration)
    if state.is_by_row and state.is_by_column:
        yield (
            "the table has row-level security, and rights on single columns, which no view keeps "
            "both: grant the rights on the table, or set app.way to another one"
        )
    elif state.is_by_row and state.version < INVOKER_VERSION:
        yield (
            f"the table has row-level security, which a view of PostgreSQL "
            f"{state.version // 10_000} passes over: upgrade the server to 15, or set app.way to "
            "another one"
        )


def showing(connection: sa.Connection, migration: Migration, *columns: str) -> list[str]:
    """The views and rules that show one of the columns of the table, without ragkit's view."""
    values = {"table": migration.quoted_table, "view": view_name(migration)}
    return list(connection.scalars(_SHOWING, {**values, "columns": list(columns)}))


def needing(connection: sa.Connection, migration: Migration, column: str) -> list[str]:
    """What else keeps the column from being dropped, as PostgreSQL words it."""
    values = {"table": migration.quoted_table, "column": column}
    return list(connection.scalars(_NEEDING, values))
