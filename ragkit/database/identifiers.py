"""Names from configuration as SQL: always quoted through SQLAlchemy."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# With another paramstyle "%" would be doubled, and stay doubled in the table's name.
_preparer = postgresql.dialect(paramstyle="named").identifier_preparer
# Words that cannot be each kind of name, and that SQLAlchemy does not quote.
_MORE = {
    "bigint", "bit", "boolean", "char", "character", "coalesce", "collation", "concurrently",
    "dec", "decimal", "exists", "extract", "float", "greatest", "grouping", "inout", "int",
    "integer", "interval", "json", "json_array", "json_arrayagg", "json_exists", "json_object",
    "json_objectagg", "json_query", "json_scalar", "json_serialize", "json_table", "json_value",
    "lateral", "least", "merge_action", "national", "nchar", "none", "normalize", "nullif",
    "numeric", "out", "overlay", "position", "precision", "real", "row", "setof", "smallint",
    "substring", "system_user", "tablesample", "time", "timestamp", "treat", "trim", "values",
    "varchar", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists", "xmlforest",
    "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable",
}  # fmt: skip
_preparer.reserved_words = _preparer.reserved_words | _MORE
_quote = _preparer.quote


def quote_identifier(*parts: str) -> str:
    """SQL for a name of one or more parts, as in schema and table; each is quoted if needed."""
    return ".".join(_quote(part) for part in parts)


def quote_literal(text: str) -> str:
    """SQL for a text where no value can be bound, as in the body of a function; as PostgreSQL's
    quote_literal()."""
    quoted = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return f"E{quoted}" if "\\" in text else quoted


def table_clause(qualified_name: str) -> sa.TableClause:
    """ "schema.table" as a table that SQLAlchemy quotes."""
    schema, table = split_name(qualified_name)
    return sa.table(table, schema=schema)


def split_name(qualified_name: str) -> tuple[str | None, str]:
    """Schema (None when there is none) and table of "schema.table"; of several dots the first one
    is between them."""
    schema, dot, table = qualified_name.partition(".")
    return (schema, table) if dot else (None, qualified_name)
