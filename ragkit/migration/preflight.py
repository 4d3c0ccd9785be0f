"""What must be true of the table before anything is changed; all faults are told together."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.types import vector_type
from ragkit.errors import SchemaError
from ragkit.migration import phases
from ragkit.migration.partitions.faults import key_advice, missing_in_partitions
from ragkit.migration.plan import Plan
from ragkit.migration.schema.consistency import consistency_faults
from ragkit.migration.schema.privileges import missing_privileges, missing_schema_usage
from ragkit.migration.terms.scope import scope_faults
from ragkit.migration.terms.terms import Terms
from ragkit.retrieval import contract
from ragkit.retrieval.space import Binding

MIN_VERSION = 140_000
_COLUMNS = sa.text("""
    select a.attname as name, t.typname as type, a.atttypmod as modifier,
           format_type(a.atttypid, a.atttypmod) as full_type, a.attgenerated <> '' as generated
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
""")
_HAS_PGVECTOR = sa.text("select exists (select from pg_extension where extname = 'vector')")
_UNIQUE = sa.text("""
    select exists (
        select from pg_index i
        where i.indrelid = to_regclass(:table)
          and i.indisunique and i.indisvalid and i.indpred is null
          and i.indnkeyatts = cardinality(cast(:keys as name[]))
          and (select count(*) from pg_attribute a
               where a.attrelid = i.indrelid and a.attnotnull and a.attname = any (:keys)
                 and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))
              = i.indnkeyatts)
""")
_VERSION = sa.text("select current_setting('server_version_num')::int")
_KIND = sa.text("select relkind::text from pg_class where oid = to_regclass(:table)")


def check_privileges(connection: sa.Connection, plan: Plan) -> None:
    """Comes first: without these rights, or on an older server, the other checks would fail in the
    middle.

    Raises SchemaError, which lists every missing one as SQL to paste.
    """
    name, schema = plan.table.qualified_name, plan.table.schema_name
    regclass = quote_identifier(schema, plan.table.name)
    if faults := list(server_faults(connection.scalar(_VERSION) or 0)):
        raise _not_ready(name, faults)
    if fault := missing_schema_usage(connection, schema):
        raise _not_ready(name, [fault])
    kind = connection.scalar(_KIND, {"table": regclass})
    if kind is None:
        raise SchemaError(f"there is no table {name}: set table.name and table.schema")
    if kind not in ("r", "p"):
        raise SchemaError(
            f"{name} is neither a plain nor a partitioned table (relkind {kind}): name such a table"
        )
    if faults := [
        *missing_privileges(connection, schema, regclass),
        *missing_in_partitions(connection, regclass),
    ]:
        raise _not_ready(name, faults)


def check_table(
    connection: sa.Connection,
    plan: Plan,
    terms: Terms,
    old: Binding | None,
    new: Binding | None,
    phase: str,
) -> None:
    """Raises SchemaError, which lists every fault and what to do.

    For a table and a role that check_privileges has passed.
    `old` and `new` are None where only a model can tell. What a migration must not begin with does
    not keep one that has begun from being opened, which the way back needs.
    """
    known = [binding for binding in (old, new) if binding]
    name = plan.table.qualified_name
    regclass = quote_identifier(plan.table.schema_name, plan.table.name)
    columns = {c.name: c for c in connection.execute(_COLUMNS, {"table": regclass})}
    faults = [
        *_missing_columns(plan, columns, phase == phases.RETIRED),
        *_key_and_content(connection, plan, columns, regclass),
        *_unknown_vectors(
            connection, plan, columns, regclass, terms.where.sql if terms.where else ""
        ),
        *_dimensions(plan, columns, known),
        *_contract_faults(connection, known),
    ]
    if phase == phases.PLANNED and not faults:
        faults += scope_faults(connection, plan, terms)
    if phase == phases.PLANNED:
        faults += consistency_faults(
            connection, regclass, plan.table.content, plan.migration_id, beside=plan.new.is_beside
        )
    if faults:
        raise _not_ready(name, faults)


def server_faults(version: int) -> Iterator[str]:
    """`version` as in server_version_num."""
    if version < MIN_VERSION:
        yield (
            f"the server is PostgreSQL {version // 10_000}, expected {MIN_VERSION // 10_000} or "
            "newer, which reads a table by ranges of its blocks: upgrade it first"
        )


def _not_ready(name: str, faults: Sequence[str]) -> SchemaError:
    return SchemaError(f"{name} is not ready to migrate: " + "; ".join(faults), faults)


def _missing_columns(plan: Plan, columns: Mapping[str, Any], retired: bool) -> Iterator[str]:
    names = [
        *(("table.key", name) for name in plan.table.keys),
        ("table.content", "" if plan.table.is_expression else plan.table.content),
        ("table.label", plan.table.label),
        ("table.category", plan.table.category),
        ("old.column", "" if retired or plan.old.is_beside else plan.old.column),
    ]
    for field, name in names:
        if name and name not in columns:
            is_content = field == "table.content" and not name.isidentifier()
            hint = "; an expression is written in parentheses" if is_content else ""
            yield f"no column {name!r} (set {field}{hint}); there are: {', '.join(columns)}"


def _key_and_content(
    connection: sa.Connection, plan: Plan, columns: Mapping[str, Any], regclass: str
) -> Iterator[str]:
    if not connection.scalar(_HAS_PGVECTOR):
        yield "the extension pgvector is missing: CREATE EXTENSION vector;"
    keys, content = plan.table.keys, plan.table.content
    names = {"table": regclass, "keys": list(keys)}
    if set(keys) <= columns.keys() and not connection.scalar(_UNIQUE, names):
        advice = key_advice(connection, regclass, keys)
        yield f"key {', '.join(map(repr, keys))} is not unique and NOT NULL: {advice}"
    if (column := columns.get(content)) is None:
        return
    if column.type not in ("text", "varchar", "bpchar"):
        yield f"content {content!r} is {column.full_type}, expected text"
    if column.generated:
        yield (
            f"content {content!r} is a generated column, and a BEFORE trigger does not see its "
            "new value: set table.content to the column that it is generated from"
        )


def _unknown_vectors(
    connection: sa.Connection, plan: Plan, columns: Mapping[str, Any], regclass: str, where: str
) -> Iterator[str]:
    """A column that somebody began to fill by hand: nothing says which model made its vectors."""
    bindings = contract.read_bindings(connection, plan.table.qualified_name)
    known = (plan.new.column, where) in {(binding.column, binding.where) for binding in bindings}
    if plan.new.is_beside and plan.new.column in columns:
        yield f"the table has a column {plan.new.column!r}: set new.column to another name"
        return
    if plan.new.column not in columns or known or plan.new.adopt:
        return
    column = quote_identifier(plan.new.column)
    scope = f" where {where}" if where else ""
    query = f"select count({column}) from {regclass}{scope}"
    if count := connection.exec_driver_sql(query).scalar():
        yield (
            f"column {plan.new.column!r} holds {count} vectors that no contract accounts for: "
            f"ALTER TABLE {regclass} DROP COLUMN {column}, set new.column to another name, or set "
            "new.adopt: true to keep them if a sample shows that the new model made them"
        )


def _dimensions(plan: Plan, columns: Mapping[str, Any], known: Sequence[Binding]) -> Iterator[str]:
    spaces = {binding.column: binding.space for binding in known}
    for side in (plan.old, plan.new):
        column, space = columns.get(side.column), spaces.get(side.column)
        if column is None:
            continue
        if column.type not in ("vector", "halfvec"):
            yield f"column {side.column!r} is {column.full_type}, expected a vector"
        elif space and side is plan.new and column.modifier == -1:
            table = quote_identifier(plan.table.schema_name, plan.table.name)
            kind = vector_type(space.dimension).get_col_spec()
            yield (
                f"column {side.column!r} has no dimension, and so can have no index: ALTER TABLE "
                f"{table} ALTER COLUMN {quote_identifier(side.column)} TYPE {kind}"
            )
        elif space and column.modifier not in (-1, space.dimension):
            yield (
                f"column {side.column!r} is {column.full_type}, but {side.model} "
                f"makes {space.dimension} dimensions"
            )


def _contract_faults(connection: sa.Connection, known: Sequence[Binding]) -> Iterator[str]:
    """A column that is bound to another space is refused, even when the dimensions agree."""
    for binding in known:
        bindings = {
            b.column: b
            for b in contract.read_bindings(connection, binding.table)
            if b.where == binding.where
        }
        bound = bindings.get(binding.column)
        if bound and bound.side != binding.side:
            placement = "side_table" if bound.side else "column"
            yield (
                f"the vectors of {binding.column!r} are in {'.'.join(bound.stored_in)}: set its "
                f"placement to {placement}, which cannot be changed once the backfill has begun"
            )
            continue
        if bound is None or bound.space == binding.space:
            continue
        if bound.space.only_adds_to(binding.space):
            yield (
                f"column {binding.column!r} holds vectors of long texts, as the contract's "
                f"{bound.space.template!r} says: set its long_texts so"
            )
        elif not binding.space.only_adds_to(bound.space):  # else the backfill takes the change
            yield (
                f"column {binding.column!r} is bound to {bound.space.model} of "
                f"{bound.space.template!r}, not to {binding.space.model} of "
                f"{binding.space.template!r}: their vectors do not compare"
            )
