"""The nearest rows to a vector: the app's one query."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import table_clause
from ragkit.database.types import vector_type
from ragkit.retrieval.space import Binding

DISTANCES = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}
"""Names of the distances, and pgvector's operators for them."""

DEFAULT_EF_SEARCH, MAX_EF_SEARCH = 40, 1000
"""pgvector's; see its README, "Query Options"."""

STATEMENT_MS = 3000
"""Of the app's query: the server ends it then, though the app may be gone."""

_DISTANCE = "distance of ragkit"
"""Beside the columns of a table, which may have one called distance."""


def nearest(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    columns: Sequence[str],
    limit: int,
) -> list[Mapping[str, Any]]:
    """`columns` of the `limit` rows nearest to `vector`, nearest first.

    Rows without a vector, and rows beyond the binding's cut-off, are left out. `vector` has shape
    (dimension,). Where the index yields fewer rows, for example because most of its candidates are
    outdated entries that no vacuum has removed yet, the table is searched without it.
    """
    if limit > DEFAULT_EF_SEARCH:
        wider = sa.func.set_config("hnsw.ef_search", str(ef_search(limit)), True)
        connection.execute(sa.select(wider))
    distance = distance_to(binding, vector)
    shown: list[sa.ColumnElement[Any]] = [sa.column(name) for name in columns]
    shown.append(distance.label(_DISTANCE))
    query = sa.select(*shown).select_from(table_clause(binding.table))
    # Ordered by the distance alone: a second sort key would keep PostgreSQL from using the index.
    query = query.where(stored_vector(binding).is_not(None)).order_by(distance).limit(limit)
    rows = connection.execute(query).mappings().all()
    if len(rows) < limit:
        rows = _without_index(connection, query)
    if binding.cutoff is not None:
        rows = [row for row in rows if row[_DISTANCE] <= binding.cutoff]
    return [{name: row[name] for name in columns} for row in rows]


def _without_index(connection: sa.Connection, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
    """By a savepoint, which takes the setting back."""
    with connection.begin_nested() as savepoint:
        connection.execute(sa.select(sa.func.set_config("enable_indexscan", "off", True)))
        rows = connection.execute(query).mappings().all()
        savepoint.rollback()
    return rows


def limit_statement(connection: sa.Connection) -> None:
    """For the connection's transaction only, so that a pooler's other clients keep their limits."""
    limit = sa.func.set_config("statement_timeout", str(STATEMENT_MS), True)
    connection.execute(sa.select(limit))


def stored_vector(binding: Binding) -> sa.ColumnClause[Any]:
    """The column of a binding, with its vector type."""
    return sa.column(binding.column, vector_type(binding.space.dimension))


def distance_to(binding: Binding, vector: np.ndarray) -> sa.ColumnElement[float]:
    """The distance from `vector` to the stored ones, by the operator that the binding names."""
    return stored_vector(binding).op(DISTANCES[binding.distance], return_type=sa.Float())(vector)


def ef_search(limit: int) -> int:
    """hnsw.ef_search for `limit` rows: an HNSW scan returns no more rows than its candidates."""
    return DEFAULT_EF_SEARCH if limit <= DEFAULT_EF_SEARCH else min(2 * limit, MAX_EF_SEARCH)
