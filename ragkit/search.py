"""Nearest rows to a vector: the one query the app lives from."""

from collections.abc import Mapping, Sequence

import numpy as np
import sqlalchemy as sa
from pgvector.sqlalchemy import HALFVEC, VECTOR

from ragkit.contract import Binding

DISTANCES = {"cosine": "<=>", "l2": "<->", "inner_product": "<#>"}
"""Names of the distances and pgvector's operators for them."""

MAX_VECTOR = 2000
DEFAULT_EF_SEARCH = 40
"""pgvector's; see its README, "Query Options"."""


def nearest(
    connection: sa.Connection,
    binding: Binding,
    vector: np.ndarray,
    columns: Sequence[str],
    limit: int,
) -> list[Mapping[str, object]]:
    """The `limit` rows nearest to `vector`, nearest first; rows without a vector never appear,
    nor those beyond the contract's cut-off.

    Ordered by the distance alone: a second sort key would keep PostgreSQL from using the index.
    """
    if limit > DEFAULT_EF_SEARCH:
        wider = sa.func.set_config("hnsw.ef_search", str(ef_search(limit)), True)
        connection.execute(sa.select(wider))
    table, space = as_table(binding.table), binding.space
    stored = sa.column(binding.column, column_type(space.dimension))
    distance = stored.op(DISTANCES[binding.distance], return_type=sa.Float)(vector)
    query = sa.select(*(sa.column(name) for name in columns)).select_from(table)
    query = query.where(stored.is_not(None)).order_by(distance).limit(limit)
    if binding.cutoff is not None:
        query = query.where(distance <= binding.cutoff)
    return list(connection.execute(query).mappings())


def ef_search(limit: int) -> int:
    """Candidates of an HNSW scan for so many rows: it returns no more rows than it has of them."""
    return DEFAULT_EF_SEARCH if limit <= DEFAULT_EF_SEARCH else min(2 * limit, 1000)


def column_type(dimension: int) -> VECTOR | HALFVEC:
    """What a column of this dimension is made of: HNSW takes vector up to 2,000, then halfvec."""
    return VECTOR(dimension) if dimension <= MAX_VECTOR else HALFVEC(dimension)


def as_table(name: str) -> sa.TableClause:
    """ "schema.table" as a table SQLAlchemy quotes."""
    schema, _, table = name.rpartition(".")
    return sa.table(table, schema=schema or None)
