"""What the table of the texts must be; all faults are told together."""

from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import sqlstate
from ragkit.migration.plan import Plan
from ragkit.migration.schema.privileges import missing_privileges
from ragkit.migration.terms.lookup import Lookup
from ragkit.migration.terms.terms import Terms

_KIND = sa.text("select relkind::text from pg_class where oid = to_regclass(:table)")
_COLUMNS = sa.text("""
    select a.attname as name, t.typname as type, a.attgenerated <> '' as generated,
           coalesce(not c.collisdeterministic, false) as loose
    from pg_attribute a join pg_type t on t.oid = a.atttypid
    left join pg_collation c on c.oid = a.attcollation
    where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
""")
_INDEXED = sa.text("""
    select exists (
        select from pg_index i join pg_attribute a
            on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
        where i.indrelid = to_regclass(:table) and a.attname = :column and i.indisvalid
          and i.indpred is null and (not :is_key or i.indisunique and i.indnkeyatts = 1))
""")
UNDEFINED_FUNCTION = "42883"
"""The SQLSTATE of a comparison for which there is no operator."""


def text_table_faults(connection: sa.Connection, plan: Plan, terms: Terms) -> Iterator[str]:
    """One text for each, with the way out; none where the text is in the table itself."""
    texts = terms.content
    if not isinstance(texts, Lookup):
        return
    name = plan.table.text_table
    kind = connection.scalar(_KIND, {"table": texts.table})
    if kind != "r":
        what = f"it is no plain table (relkind {kind})" if kind else "there is no such table"
        yield f"table.text_table {name}: {what}"
        return
    columns = {c.name: c for c in connection.execute(_COLUMNS, {"table": texts.table})}
    for field, column in (("table.content", texts.column), ("table.text_key", texts.key)):
        if column not in columns:
            yield f"no column {column!r} in {name} (set {field}); there are: {', '.join(columns)}"
    if (content := columns.get(texts.column)) and content.type not in ("text", "varchar"):
        yield f"content {texts.column!r} of {name} is {content.type}, expected text"
    if content and content.generated:
        yield f"content {texts.column!r} of {name} is generated: name the column it is made from"
    if content and content.loose:
        yield (
            f"content {texts.column!r} of {name} has a nondeterministic collation, under which two "
            'texts can be equal: give it COLLATE "default"'
        )
    if texts.key in columns and not _compare(connection, plan, texts):
        yield (
            f"text_by {texts.by!r} of {plan.table.name} and text_key {texts.key!r} of {name} are "
            "of types that do not compare: name columns of one type"
        )
    schema, _, _ = name.rpartition(".")
    for fault in missing_privileges(connection, schema or "public", texts.table):
        yield f"{name}: {fault}"
    asked = {"table": texts.table, "column": texts.key, "is_key": True}
    if texts.key in columns and not connection.scalar(_INDEXED, asked):
        yield f"text_key {texts.key!r} of {name} is not unique: name a column that is"
    table = quote_identifier(plan.table.schema_name, plan.table.name)
    asked = {"table": table, "column": texts.by, "is_key": False}
    if not connection.scalar(_INDEXED, asked):
        by = quote_identifier(texts.by)
        yield (
            f"no index begins with {texts.by!r}, by which each change of a text finds its rows: "
            f"CREATE INDEX CONCURRENTLY ON {table} ({by});"
        )


def _compare(connection: sa.Connection, plan: Plan, texts: Lookup) -> bool:
    table = quote_identifier(plan.table.schema_name, plan.table.name)
    query = f"select (select {texts.found} from {texts.joined('r')}) from {table} as r limit 0"
    try:
        with connection.begin_nested():
            connection.exec_driver_sql(query)
    except DBAPIError as error:
        return sqlstate(error) != UNDEFINED_FUNCTION
    return True
