"""The contract: which space fills which column. Kept in the database, checked by every writer.

A column is bound to one space. A service that is configured for another space is refused, instead
of answering with unrelated rows.
"""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import OID

from ragkit.database.identifiers import quote_identifier, split_name
from ragkit.embedding.catalogue import Model
from ragkit.errors import SpaceMismatch, SpaceNotReady
from ragkit.retrieval.side_table import SideTable
from ragkit.retrieval.space import READY, Binding, Space

SCHEMA = "ragkit"
"""The database schema of everything that ragkit keeps."""

CONTRACT = sa.Table(
    "contract",
    sa.MetaData(schema=SCHEMA),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("column_name", sa.Text, primary_key=True),
    sa.Column("condition", sa.Text, primary_key=True, server_default=""),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("task_type", sa.Text),
    sa.Column("dimension", sa.Integer, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("distance", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cutoff", sa.Float),
    sa.Column("table_oid", OID),
    sa.Column("attnum", sa.SmallInteger),
    sa.Column("side_table", sa.Text),
    sa.Column("side_key", sa.Text),
    sa.Column("side_content", sa.Text),
)
_COLUMN_NAMES = sa.text("""
    select attrelid, attnum, attname from pg_attribute
    where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped
""")
_QUALIFIED_NAME = sa.text("""
    select n.nspname || '.' || c.relname
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = to_regclass(:table)
""")

STOCK_COLUMNS = {
    "textembedding-gecko@001": "embedding",
    "text-embedding-005": "embedding_005",
}
"""Columns by model in a database without a contract: those of the Jump Start Solution."""


def exists(connection: sa.Connection) -> bool:
    """Whether this database has a contract."""
    return connection.scalar(sa.func.to_regclass(f"{SCHEMA}.{CONTRACT.name}").select()) is not None


def read_bindings(connection: sa.Connection, table: str) -> list[Binding]:
    """The contract of `table`; [] when the database has none. Without a schema, as in "table", it
    is the table that a statement would find.

    A column that was renamed is followed by its number, unless the table is another one than when
    it was bound, such as a restored copy: then only names count.
    """
    if not exists(connection):
        return []
    names = column_names(connection, table)
    bound_as = connection.scalar(_QUALIFIED_NAME, {"table": regclass(table)}) or table
    # "*", because an older contract has fewer columns, and the function must read it too.
    query = sa.select(sa.text("*")).select_from(CONTRACT).where(CONTRACT.c.table_name == bound_as)
    return [
        Binding(
            row["table_name"],
            names.get((row.get("table_oid"), row.get("attnum")), row["column_name"]),
            Space(row["model"], row["task_type"], row["dimension"], row["template"]),
            row["distance"],
            row["state"],
            row.get("cutoff"),
            _side(row),
            row.get("condition") or "",
        )
        for row in connection.execute(query).mappings()
    ]


def _side(row: sa.RowMapping) -> SideTable | None:
    if not (name := row.get("side_table")):
        return None
    return SideTable(name, row["side_key"], row["side_content"])


def column_names(connection: sa.Connection, table: str) -> dict[tuple[Any, Any], str]:
    """The columns by the numbers of table and column; {} when there is no such table. Waits for no
    lock, as the inspector of SQLAlchemy may."""
    rows = connection.execute(_COLUMN_NAMES, {"table": regclass(table)})
    return {(oid, number): name for oid, number, name in rows}


def find_binding(
    connection: sa.Connection, table: str, model: Model, stock: Mapping[str, str] = STOCK_COLUMNS
) -> tuple[Binding, bool]:
    """The column of `model`, and whether a contract says so (else the mapping `stock`).

    Raises SpaceNotReady (no such column yet) or SpaceMismatch (the column is bound to this model
    with another dimension or task type).
    """
    bindings = read_bindings(connection, table)
    if not bindings:
        return _stock_binding(table, model, stock), False
    names = (model.space_name, model.name)
    found = [b for b in bindings if b.space.model in names]
    if not found:
        bound = ", ".join(f"{b.column}: {b.space.model}" for b in bindings)
        raise SpaceNotReady(f"no column of {table} holds vectors of {model.name} ({bound})")
    binding = found[0]
    if len(found) > 1:
        parts = ", ".join(f"{b.column} where {b.where or 'true'}" for b in found)
        raise SpaceMismatch(
            f"{table} has vectors of {model.name} in {len(found)} parts ({parts}), and this "
            "service cannot tell which one is meant: give it a view of one of them as its table"
        )
    if not binding.space.is_of(model):
        raise SpaceMismatch(
            f"column {binding.column} is bound to {binding.space.model} with "
            f"{binding.space.dimension} dimensions, task {binding.space.task_type}; this service "
            f"makes {model.dimension} dimensions, task {model.document_form}"
        )
    return binding, True


def require_ready(binding: Binding) -> None:
    """Raises SpaceNotReady while the column is filling."""
    if binding.state != READY:
        raise SpaceNotReady(
            f"column {binding.column} for {binding.space.model} is {binding.state}: finish the "
            "backfill"
        )


def _stock_binding(table: str, model: Model, stock: Mapping[str, str]) -> Binding:
    column = stock.get(model.name)
    if column is None:
        raise SpaceNotReady(
            f"{table} has no contract, and the stock mapping knows only "
            f"{', '.join(sorted(stock))}: run the migration, or set EMBEDDING_MODEL"
        )
    return Binding(table, column, Space.of(model, "content"), state=READY)


def regclass(table: str) -> str:
    """The name "schema.table" as SQL."""
    schema, name = split_name(table)
    return quote_identifier(schema, name) if schema else quote_identifier(name)
