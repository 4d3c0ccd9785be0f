"""Names from configuration as SQL: always quoted through SQLAlchemy."""

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

# With another paramstyle "%" would be doubled, and stay doubled in the table's name.
_quote = postgresql.dialect(paramstyle="named").identifier_preparer.quote


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
    """Schema (None when there is none) and table of "schema.table"."""
    schema, _, table = qualified_name.rpartition(".")
    return schema or None, table
