"""The nearest rows to a vector: the app's one query."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import sqlalchemy as sa
from pgvector import Vector

from ragkit.database.identifiers import quote_identifier
from ragkit.database.types import vector_type
from ragkit.database.wire.round_trip import ask
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.side_table import DIGEST, KEY, VECTOR, SideTable, digest_sql
from ragkit.retrieval.space import Binding

DISTANCES = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}
"""Names of the distances, and pgvector's operators for them."""

DEFAULT_EF_SEARCH, MAX_EF_SEARCH = 40, 1000
"""pgvector's; see its README, "Query Options"."""

OUTDATED = 8
"""Candidates of a side table beyond those asked for: some may be of an earlier text."""

STATEMENT_MS = 3000
"""Of the app's query: the server ends it then, though the app may be gone."""


def nearest(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    columns: Sequence[str],
    limit: int,
    milliseconds: int | None = None,
) -> list[Mapping[str, Any]]:
    """`columns` of the `limit` rows nearest to `vector`, nearest first.

    Rows without a vector, and rows beyond the binding's cut-off, are left out. `vector` has shape
    (dimension,). Where the index yields fewer rows, for example because most of its candidates are
    outdated entries that no vacuum has removed yet, the table is searched without it.

    The server ends a search that takes longer than `milliseconds`. This limit is the transaction's,
    so that a pooler's other clients keep theirs.
    """
    shown = [f"r.{quote_identifier(column)}" for column in columns]
    rows = nearest_values(connection, binding, vector, shown, limit, milliseconds)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def nearest_values(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    shown: Sequence[str],
    limit: int,
    milliseconds: int | None = None,
) -> list[list[Any]]:
    """As nearest, the values of `shown`, which is SQL of the row r."""
    settings = {} if milliseconds is None else {"statement_timeout": str(milliseconds)}
    rows = nearest_with_distance(connection, binding, vector, shown, limit, settings)
    return [row[:-1] for row in rows if binding.cutoff is None or row[-1] <= binding.cutoff]


def nearest_with_distance(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    shown: Sequence[str],
    limit: int,
    settings: Mapping[str, str],
) -> list[list[Any]]:
    """As nearest_values, with the distance as the last value of each row and without the cut-off.
    `settings` are the server's, for the rest of the transaction."""
    if limit > DEFAULT_EF_SEARCH:
        settings = {"hnsw.ef_search": str(ef_search(limit)), **settings}
    asked = binding.table, binding.column, binding.distance, tuple(shown), binding.side
    values = Vector(np.asarray(vector, np.float32)).to_binary(), limit.to_bytes(8, "big")
    rows = ask(connection, nearest_sql(*asked, where=binding.where), values, settings)
    if len(rows) < limit:
        exact = nearest_sql(*asked, where=binding.where, exact=True)
        rows = _without_index(connection, exact, values, settings)
    return rows


@lru_cache
def nearest_sql(
    table: str,
    column: str,
    distance: str,
    shown: Sequence[str],
    side: SideTable | None = None,
    exact: bool = False,
    where: str = "",
) -> str:
    """With $1 for the vector and $2 for the limit; the last column is the distance. `shown` is SQL
    of the row r, and `where` of its columns.

    Ordered by the distance alone: a second sort key would keep PostgreSQL from using the index. A
    vector is cast to halfvec by the operator where the column is one.
    """
    if side:
        return _nearest_beside_sql(table, side, distance, shown, exact)
    stored = f"r.{quote_identifier(column)}"
    away = f"{stored} {DISTANCES[distance]} $1::vector"
    condition = f" and ({where})" if where else ""
    return (
        f"select {', '.join(shown)}, {away} from {regclass(table)} r "
        f"where {stored} is not null{condition} order by {away} limit $2"
    )


def _nearest_beside_sql(
    table: str, side: SideTable, distance: str, shown: Sequence[str], exact: bool
) -> str:
    """The candidates first, by the side table's own index; then their rows, by the key. A vector of
    an earlier text is passed over. `exact`: every vector is a candidate."""
    content = f"r.{quote_identifier(side.content)}"
    away = f"{VECTOR} {DISTANCES[distance]} $1::vector"
    nearby = "" if exact else f"order by {away} limit $2::bigint + {OUTDATED}"
    return (
        f"select {', '.join(shown)}, s.away from {regclass(table)} r join ("
        f"select {KEY}, {DIGEST}, {away} as away "
        f"from {regclass(side.name)} {nearby}) s "
        f"on r.{quote_identifier(side.key)} = s.{KEY} and {digest_sql(content)} = s.{DIGEST} "
        f"order by s.away limit $2::bigint"
    )


def _without_index(
    connection: sa.Connection, sql: str, values: Sequence[bytes], settings: Mapping[str, str]
) -> list[list[Any]]:
    """By a savepoint, which takes the setting back."""
    with connection.begin_nested() as savepoint:
        rows = ask(connection, sql, values, {**settings, "enable_indexscan": "off"})
        savepoint.rollback()
    return rows


def stored_vector(binding: Binding) -> sa.ColumnClause[Any]:
    """The column of a binding, with its vector type."""
    return sa.column(binding.stored_in[1], vector_type(binding.space.dimension))


def distance_to(binding: Binding, vector: np.ndarray) -> sa.ColumnElement[float]:
    """The distance from `vector` to the stored ones, by the operator that the binding names."""
    return stored_vector(binding).op(DISTANCES[binding.distance], return_type=sa.Float())(vector)


def ef_search(limit: int) -> int:
    """hnsw.ef_search for `limit` rows: an HNSW scan returns no more rows than its candidates."""
    return DEFAULT_EF_SEARCH if limit <= DEFAULT_EF_SEARCH else min(2 * limit, MAX_EF_SEARCH)
