"""What must be true of the database before anything is changed; all faults at once."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit import contract
from ragkit.contract import Binding
from ragkit.database import quoted
from ragkit.errors import SchemaError
from ragkit.migration.plan import Plan

_COLUMNS = sa.text("""
    select a.attname as name, t.typname as type, a.atttypmod as modifier,
           format_type(a.atttypid, a.atttypmod) as full_type, a.attgenerated <> '' as generated
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
""")
_UNIQUE = sa.text("""
    select exists (
        select from pg_index i join pg_attribute a on a.attrelid = i.indrelid
        where i.indrelid = to_regclass(:table) and a.attname = :key
          and i.indisunique and i.indisvalid and i.indpred is null
          and i.indnkeyatts = 1 and i.indkey[0] = a.attnum and a.attnotnull)
""")
_RIGHTS = sa.text("""
    select current_user as role, pg_has_role(c.relowner, 'USAGE') as owner,
           c.relkind::text as kind, c.relforcerowsecurity as forced,
           pg_get_userbyid(c.relowner) as owned_by,
           (to_regnamespace(:schema) is null
            and not has_database_privilege(current_database(), 'CREATE')) as no_create,
           current_database() as database
    from pg_class c where c.oid = to_regclass(:table)
""")


def check(connection: sa.Connection, plan: Plan, old: Binding, new: Binding, retired: bool) -> str:
    """The key's type as SQL. Raises SchemaError that lists every fault and its way out."""
    regclass = quoted(plan.table_schema, plan.table)
    rights = connection.execute(_RIGHTS, {"table": regclass, "schema": contract.SCHEMA}).first()
    if rights is None:
        raise SchemaError(f"there is no table {plan.qualified}: set table and table_schema")
    if rights.kind != "r":
        raise SchemaError(f"{plan.qualified} is no plain table (relkind {rights.kind}): name one")
    columns = {c.name: c for c in connection.execute(_COLUMNS, {"table": regclass})}
    faults = [
        f"no column {name!r} (set {field}); there are: {', '.join(columns)}"
        for field in ("key", "content", "label", "category", "old_column")
        if (name := getattr(plan, field)) not in columns
        and not (field == "category" and not name)
        and not (field == "old_column" and retired)
    ]
    if not connection.scalar(sa.text("select count(*) from pg_extension where extname = 'vector'")):
        faults.append("the extension pgvector is missing: CREATE EXTENSION vector")
    if plan.key in columns and not connection.scalar(_UNIQUE, {"table": regclass, "key": plan.key}):
        faults.append(f"key {plan.key!r} is not unique and NOT NULL: choose or make such a key")
    if (column := columns.get(plan.content)) and column.type not in ("text", "varchar", "bpchar"):
        faults.append(f"content {plan.content!r} is {column.full_type}, expected text")
    if column and column.generated:
        faults.append(
            f"content {plan.content!r} is a generated column, whose new value no trigger sees "
            "in time: set content to the column it is made from"
        )
    if rights.forced:
        faults.append("row-level security is forced: rows that we do not see would be left out")
    faults += _unknown_vectors(connection, plan, columns)
    faults += [
        f"column {binding.column!r} is {columns[binding.column].full_type}, but "
        f"{binding.space.model} makes {binding.space.dimension} dimensions"
        for binding in (old, new)
        if binding.column in columns and not _fits(columns[binding.column], binding)
    ]
    if not rights.owner:
        faults.append(f"role {rights.role} cannot alter the table: GRANT {rights.owned_by} TO it")
    if rights.no_create:
        faults.append(
            f"role {rights.role} cannot create the schema {contract.SCHEMA}: "
            f"GRANT CREATE ON DATABASE {rights.database} TO it"
        )
    faults += _contract_faults(connection, plan, old, new)
    if faults:
        raise SchemaError(f"{plan.qualified} is not ready to migrate: " + "; ".join(faults))
    return columns[plan.key].full_type


def _unknown_vectors(connection: sa.Connection, plan: Plan, columns: dict) -> Iterator[str]:
    """A column that somebody began to fill by hand: nothing says what its vectors are."""
    bound = {binding.column for binding in contract.bindings(connection, plan.qualified)}
    if plan.new_column in columns and plan.new_column not in bound:
        column, table = quoted(plan.new_column), quoted(plan.table_schema, plan.table)
        if found := connection.exec_driver_sql(f"select count({column}) from {table}").scalar():
            yield (
                f"column {plan.new_column!r} holds {found} vectors that no contract accounts for: "
                f"ALTER TABLE {table} DROP COLUMN {column}, or set new_column to another name"
            )


def _fits(column: sa.Row, binding: Binding) -> bool:
    return column.type in ("vector", "halfvec") and column.modifier in (-1, binding.space.dimension)


def _contract_faults(
    connection: sa.Connection, plan: Plan, old: Binding, new: Binding
) -> Iterator[str]:
    """A column bound to another space is refused, be it of the same dimension."""
    held = {b.column: b for b in contract.bindings(connection, plan.qualified)}
    for binding in (old, new):
        if (bound := held.get(binding.column)) and bound.space != binding.space:
            yield (
                f"column {binding.column!r} is bound to {bound.space.model} of "
                f"{bound.space.template!r}, not to {binding.space.model} of "
                f"{binding.space.template!r}: their vectors do not compare"
            )
