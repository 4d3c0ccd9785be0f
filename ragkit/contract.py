"""The contract: which space fills which column, kept in the database, checked by every writer.

A space is what makes two vectors comparable. A column is bound to one space, so a service that
is configured for another one is refused instead of answering noise.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ragkit.errors import SpaceMismatch, SpaceNotReady
from ragkit.models import Model

SCHEMA = "ragkit"
READY, FILLING = "ready", "filling"

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
"""Where a database without a contract keeps its vectors: the Jump Start Solution's mapping."""


@dataclass(frozen=True)
class Space:
    """Model, task type of the rows, output dimension and text template (the content column)."""

    model: str
    task_type: str | None
    dimension: int
    template: str

    @classmethod
    def of(cls, model: Model, template: str) -> "Space":
        return cls(model.name, model.document_task, model.dimension, template)

    @property
    def fingerprint(self) -> str:
        canonical = json.dumps(asdict(self), sort_keys=True).encode()
        return hashlib.sha256(canonical).hexdigest()[:16]


@dataclass(frozen=True)
class Binding:
    """One row of the contract: a column of a table holds the vectors of a space. The app shows no
    row beyond `cutoff`, a distance; None is no limit."""

    table: str
    column: str
    space: Space
    distance: str = "cosine"
    state: str = FILLING
    cutoff: float | None = None


def exists(connection: sa.Connection) -> bool:
    return connection.scalar(sa.func.to_regclass(f"{SCHEMA}.{CONTRACT.name}").select()) is not None


def bindings(connection: sa.Connection, table: str) -> list[Binding]:
    """The contract of a table, [] when the database has none. `table` as "schema.table"."""
    if not exists(connection):
        return []
    # "*", since a contract of before has no cut-off, and the function must read it too.
    query = sa.select(sa.text("*")).select_from(CONTRACT).where(CONTRACT.c.table_name == table)
    rows = connection.execute(query).mappings()
    return [
        Binding(
            row["table_name"],
            row["column_name"],
            Space(row["model"], row["task_type"], row["dimension"], row["template"]),
            row["distance"],
            row["state"],
            row.get("cutoff"),
        )
        for row in rows
    ]


def binding_for(
    connection: sa.Connection, table: str, model: Model, stock: Mapping[str, str] = STOCK_COLUMNS
) -> tuple[Binding, bool]:
    """The column that serves `model`, and whether a contract said so (else the mapping `stock`).

    Raises SpaceNotReady (no such column yet, or still filling) or SpaceMismatch (the column is
    bound to this model in another dimension or task type).
    """
    known = bindings(connection, table)
    if not known:
        return _stock(table, model, stock), False
    mine = [binding for binding in known if binding.space.model == model.name]
    if not mine:
        held = ", ".join(f"{b.column}: {b.space.model}" for b in known)
        raise SpaceNotReady(f"no column of {table} holds vectors of {model.name} ({held})")
    binding = mine[0]
    if binding.space != Space.of(model, binding.space.template):
        raise SpaceMismatch(
            f"column {binding.column} is bound to {binding.space.model} in "
            f"{binding.space.dimension} dimensions, task {binding.space.task_type}; this service "
            f"makes {model.dimension} dimensions, task {model.document_task}"
        )
    if binding.state != READY:
        raise SpaceNotReady(
            f"column {binding.column} for {model.name} is {binding.state}: finish the backfill"
        )
    return binding, True


def _stock(table: str, model: Model, stock: Mapping[str, str]) -> Binding:
    column = stock.get(model.name)
    if column is None:
        raise SpaceNotReady(
            f"{table} has no contract, and the stock mapping knows only "
            f"{', '.join(sorted(stock))}: run the migration, or set EMBEDDING_MODEL"
        )
    return Binding(table, column, Space.of(model, "content"), state=READY)


def bind(connection: sa.Connection, binding: Binding) -> None:
    """Writes a binding, or finds the same one there. Raises SpaceMismatch, changing nothing."""
    CONTRACT.metadata.create_all(connection)
    for held in bindings(connection, binding.table):
        if held.column == binding.column:
            if held.space != binding.space:
                raise SpaceMismatch(
                    f"column {held.column} is bound to {held.space} and cannot take "
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
    connection.execute(
        sa.delete(CONTRACT).where(CONTRACT.c.table_name == table, CONTRACT.c.column_name == column)
    )


def set_state(connection: sa.Connection, table: str, column: str, state: str) -> None:
    connection.execute(
        sa.update(CONTRACT)
        .where(CONTRACT.c.table_name == table, CONTRACT.c.column_name == column)
        .values(state=state)
    )


def set_cutoff(connection: sa.Connection, table: str, column: str, cutoff: float | None) -> None:
    """Followed by a running app within seconds; see `SearchService`."""
    held = {c["name"] for c in sa.inspect(connection).get_columns(CONTRACT.name, schema=SCHEMA)}
    if "cutoff" not in held:
        connection.exec_driver_sql(
            f"alter table {SCHEMA}.{CONTRACT.name} add column cutoff double precision"
        )
    connection.execute(
        sa.update(CONTRACT)
        .where(CONTRACT.c.table_name == table, CONTRACT.c.column_name == column)
        .values(cutoff=cutoff)
    )
