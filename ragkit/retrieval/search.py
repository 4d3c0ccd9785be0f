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


def nearest(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    columns: Sequence[str],
    limit: int,
) -> list[Mapping[str, Any]]:
    """`columns` of the `limit` rows nearest to `vector`, nearest first.

    Rows without a vector, and rows beyond the binding's cut-off, are left out. `vector` has shape
    (dimension,).
    """
    if limit > DEFAULT_EF_SEARCH:
        wider = sa.func.set_config("hnsw.ef_search", str(ef_search(limit)), True)
        connection.execute(sa.select(wider))
    distance = distance_to(binding, vector)
    shown: list[sa.ColumnElement[Any]] = [sa.column(name) for name in columns]
    query = sa.select(*shown).select_from(table_clause(binding.table))
    # Ordered by the distance alone: a second sort key would keep PostgreSQL from using the index.
    query = query.where(stored_vector(binding).is_not(None)).order_by(distance).limit(limit)
    if binding.cutoff is not None:
        query = query.where(distance <= binding.cutoff)
    return [dict(row) for row in connection.execute(query).mappings()]


def stored_vector(binding: Binding) -> sa.ColumnClause[Any]:
    """The column of a binding, with its vector type."""
    return sa.column(binding.column, vector_type(binding.space.dimension))


def distance_to(binding: Binding, vector: np.ndarray) -> sa.ColumnElement[float]:
    """The distance from `vector` to the stored ones, by the operator that the binding names."""
    return stored_vector(binding).op(DISTANCES[binding.distance], return_type=sa.Float())(vector)


def ef_search(limit: int) -> int:
    """hnsw.ef_search for `limit` rows: an HNSW scan returns no more rows than its candidates."""
    return DEFAULT_EF_SEARCH if limit <= DEFAULT_EF_SEARCH else min(2 * limit, MAX_EF_SEARCH)
