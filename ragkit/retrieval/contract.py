"""The contract: which space fills which column. Kept in the database, checked by every writer.

A column is bound to one space. A service that is configured for another space is refused, instead
of answering with unrelated rows.
"""

from collections.abc import Mapping
from dataclasses import asdict

import sqlalchemy as sa

from ragkit.embedding.catalogue import Model
from ragkit.errors import SpaceMismatch, SpaceNotReady
from ragkit.retrieval.space import READY, Binding, Space

SCHEMA = "ragkit"
"""The database schema of everything that ragkit keeps."""

CONTRACT = sa.Table(
    "contract",
    sa.MetaData(schema=SCHEMA),
    sa.Column("table_name", sa.Text, primary_key=True),
    sa.Column("column_name", sa.Text, primary_key=True),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("task_type", sa.Text),
    sa.Column("dimension", sa.Integer, nullable=False),
    sa.Column("template", sa.Text, nullable=False),
    sa.Column("distance", sa.Text, nullable=False),
    sa.Column("fingerprint", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cutoff", sa.Float),
)

STOCK_COLUMNS = {
    "textembedding-gecko@001": "embedding",
    "text-embedding-005": "embedding_005",
}
"""Columns by model in a database without a contract: those of the Jump Start Solution."""


def exists(connection: sa.Connection) -> bool:
    """Whether this database has a contract."""
    return connection.scalar(sa.func.to_regclass(f"{SCHEMA}.{CONTRACT.name}").select()) is not None


def read_bindings(connection: sa.Connection, table: str) -> list[Binding]:
    """The contract of `table` ("schema.table"); [] when the database has none."""
    if not exists(connection):
        return []
    # "*", because an older contract has no cut-off, and the function must read it too.
    query = sa.select(sa.text("*")).select_from(CONTRACT).where(CONTRACT.c.table_name == table)
    return [
        Binding(
            row["table_name"],
            row["column_name"],
            Space(row["model"], row["task_type"], row["dimension"], row["template"]),
            row["distance"],
            row["state"],
            row.get("cutoff"),
        )
        for row in connection.execute(query).mappings()
    ]


def find_binding(
    connection: sa.Connection, table: str, model: Model, stock: Mapping[str, str] = STOCK_COLUMNS
) -> tuple[Binding, bool]:
    """The column that serves `model`, and whether a contract says so (else the mapping `stock`).

    Raises SpaceNotReady (no such column yet, or it is still filling) or SpaceMismatch (the column
    is bound to this model with another dimension or task type).
    """
    bindings = read_bindings(connection, table)
    if not bindings:
        return _stock_binding(table, model, stock), False
    binding = next((b for b in bindings if b.space.model == model.name), None)
    if binding is None:
        bound = ", ".join(f"{b.column}: {b.space.model}" for b in bindings)
        raise SpaceNotReady(f"no column of {table} holds vectors of {model.name} ({bound})")
    if binding.space != Space.of(model, binding.space.template):
        raise SpaceMismatch(
            f"column {binding.column} is bound to {binding.space.model} with "
            f"{binding.space.dimension} dimensions, task {binding.space.task_type}; this service "
            f"makes {model.dimension} dimensions, task {model.document_task}"
        )
    if binding.state != READY:
        raise SpaceNotReady(
            f"column {binding.column} for {model.name} is {binding.state}: finish the backfill"
        )
    return binding, True


def _stock_binding(table: str, model: Model, stock: Mapping[str, str]) -> Binding:
    column = stock.get(model.name)
    if column is None:
        raise SpaceNotReady(
            f"{table} has no contract, and the stock mapping knows only "
            f"{', '.join(sorted(stock))}: run the migration, or set EMBEDDING_MODEL"
        )
    return Binding(table, column, Space.of(model, "content"), state=READY)


def bind(connection: sa.Connection, binding: Binding) -> None:
    """Writes a binding; does nothing when the same one is there.

    Raises SpaceMismatch, and changes nothing, when the column is bound to another space.
    """
    CONTRACT.metadata.create_all(connection)
    for bound in read_bindings(connection, binding.table):
        if bound.column == binding.column:
            if bound.space != binding.space:
                raise SpaceMismatch(
                    f"column {bound.column} is bound to {bound.space} and cannot take "
                    f"{binding.space}: choose another column"
                )
            return
    row = {
        "table_name": binding.table,
        "column_name": binding.column,
        **asdict(binding.space),
        "distance": binding.distance,
        "fingerprint": binding.space.fingerprint,
        "state": binding.state,
    }
    connection.execute(sa.insert(CONTRACT).values(row))


def unbind(connection: sa.Connection, table: str, column: str) -> None:
    """Removes a binding, if it is there."""
    connection.execute(sa.delete(CONTRACT).where(*_is_row(table, column)))


def set_state(connection: sa.Connection, table: str, column: str, state: str) -> None:
    """READY or FILLING."""
    connection.execute(sa.update(CONTRACT).where(*_is_row(table, column)).values(state=state))


def set_cutoff(connection: sa.Connection, table: str, column: str, cutoff: float | None) -> None:
    """A running app follows within seconds; see `SearchService`."""
    columns = sa.inspect(connection).get_columns(CONTRACT.name, schema=SCHEMA)
    if "cutoff" not in {column["name"] for column in columns}:
        connection.exec_driver_sql(
            f"alter table {SCHEMA}.{CONTRACT.name} add column cutoff double precision"
        )
    connection.execute(sa.update(CONTRACT).where(*_is_row(table, column)).values(cutoff=cutoff))


def _is_row(table: str, column: str) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return CONTRACT.c.table_name == table, CONTRACT.c.column_name == column
