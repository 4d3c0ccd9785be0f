"""Reads the plan's terms: PostgreSQL itself parses an expression, and says what it reads.

An index of an empty copy of the table is made for it, and rolled back. Such an expression is a
single one, without subqueries, and immutable: it has one value for one row, on which the guarded
write relies.
"""

from collections.abc import Collection, Iterator

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.keys import Key
from ragkit.database.translate import server_fields, sqlstate
from ragkit.errors import SchemaError
from ragkit.migration.plan.data import TableSection
from ragkit.migration.terms.expression import Expression
from ragkit.migration.terms.terms import Terms

_COLUMNS = sa.text("""
    select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
""")
_INDEXED = sa.text("""
    select coalesce(pg_get_expr(i.indpred, i.indrelid), pg_get_expr(i.indexprs, i.indrelid)),
           (select format_type(a.atttypid, null) from pg_attribute a
            where a.attrelid = i.indexrelid and a.attnum = 1), i.indnatts
    from pg_index i where i.indexrelid = to_regclass('pg_temp.ragkit_terms_index')
""")
_READS = sa.text("""
    select a.attname, format_type(a.atttypid, a.atttypmod) from pg_attribute a
    where a.attrelid = to_regclass('pg_temp.ragkit_terms') and a.attnum in (
        select d.refobjsubid from pg_depend d
        where d.classid = 'pg_class'::regclass and d.refclassid = d.classid
          and d.objid = to_regclass('pg_temp.ragkit_terms_index') and d.refobjid = a.attrelid)
    order by a.attnum
""")
_GENERATED = sa.text("""
    select attname from pg_attribute where attrelid = to_regclass(:table) and attgenerated <> ''
""")


def read_terms(connection: sa.Connection, table: TableSection) -> Terms:
    """Of a table that is there. Columns that are not there are no fault here.

    Raises SchemaError with all faults of the expressions.
    """
    regclass = quote_identifier(table.schema_name, table.name)
    types = dict(map(tuple, connection.execute(_COLUMNS, {"table": regclass})))
    key = Key(table.keys, tuple(types.get(name, "text") for name in table.keys))
    content, where, faults = None, None, list[str]()
    try:
        if table.is_expression:
            content = _parse(connection, regclass, "table.content", table.content)
        else:
            content = Expression.column(table.content, types.get(table.content, "text"))
    except SchemaError as error:
        faults += error.faults
    try:
        if table.where:
            where = _parse(connection, regclass, "table.where", table.where)
    except SchemaError as error:
        faults += error.faults
    if faults or content is None:
        raise SchemaError(f"{table.qualified_name}: " + "; ".join(faults), faults)
    return Terms(key, content, where)


def _parse(connection: sa.Connection, regclass: str, field: str, sql: str) -> Expression:
    """As the server writes it, with the names of functions and types that are not PostgreSQL's own
    qualified."""
    is_filter = field == "table.where"
    indexed = f"((1)) where ({sql}\n)" if is_filter else f"(({sql}\n))"
    run = connection.exec_driver_sql
    try:
        with connection.begin_nested() as savepoint:
            run(f"create temporary table ragkit_terms (like {regclass})")
            run(f"create index ragkit_terms_index on pg_temp.ragkit_terms {indexed}")
            run("set local search_path = pg_catalog")
            parsed, kind, columns = connection.execute(_INDEXED).one()
            reads = connection.execute(_READS).all()
            savepoint.rollback()
    except DBAPIError as error:
        raise SchemaError(_describe(field, sql, error)) from None
    if columns != 1:
        raise SchemaError(f"{field} {sql} is {columns} expressions, expected one")
    generated = connection.scalars(_GENERATED, {"table": regclass}).all()
    names = tuple(name for name, _ in reads)
    found = Expression(
        parsed, names, tuple(kind for _, kind in reads), "boolean" if is_filter else "text"
    )
    if faults := list(_faults(found, field, "boolean" if is_filter else kind, generated)):
        raise SchemaError("; ".join(faults), faults)
    return found


def _faults(found: Expression, field: str, kind: str, generated: Collection[str]) -> Iterator[str]:
    if not found.reads:
        yield f"{field} {found.sql} reads no column: name the columns of the table"
    if field == "table.content" and kind not in ("text", "character varying"):
        yield (
            f"{field} {found.sql} is {kind}, expected text: of JSON, take a value by ->> "
            "instead of ->, else add ::text"
        )
    if read := sorted(set(found.reads) & {*generated}):
        yield (
            f"{field} reads the generated column {', '.join(map(repr, read))}, whose new value a "
            "BEFORE trigger does not see: put in what it is generated from"
        )


def _describe(field: str, sql: str, error: DBAPIError) -> str:
    said = server_fields(error).get("M") or type(error.orig).__name__
    message = f"{field} {sql} cannot be used: {said}"
    match sqlstate(error):
        case "42501":  # insufficient_privilege
            return f"{message}: it is parsed with a temporary table: GRANT TEMPORARY ON DATABASE"
        case "42P17":  # invalid_object_definition
            return (
                f"{message}: its value must not depend on settings: join texts by || and "
                "coalesce(…, '') instead of concat, concat_ws or format"
            )
        case "0A000":  # feature_not_supported
            return f"{message}: it may read columns of the row only"
        case "42703":  # undefined_column
            return f"{message}: expected an expression over the columns of the table"
    return message
