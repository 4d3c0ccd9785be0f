"""SQL types: those of vectors, and those that SQLAlchemy has no class for."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import ArrayLike
from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import UserDefinedType

from ragkit.errors import SchemaError

MAX_VECTOR_DIMENSION, MAX_HALFVEC_DIMENSION = 2000, 4000
"""HNSW and IVFFlat index vector and halfvec up to these dimensions; see pgvector's README."""


class CatalogType(UserDefinedType[Any]):
    """A type by its name in PostgreSQL's catalogue."""

    cache_ok = True

    def __init__(self, name: str):
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


TID = CatalogType("tid")
CTID: sa.ColumnElement[Any] = sa.column("ctid", TID)
"""Where a row lies: heap block and line pointer."""


def text_array(texts: Sequence[str], kind: str) -> sa.ColumnElement[Any]:
    """Texts as an array of an SQL type: one value, which pg8000 need not escape."""
    parts = sa.func.json_array_elements_text(
        sa.cast(json.dumps(list(texts)), sa.Text).cast(sa.JSON)
    )
    return sa.cast(sa.func.array(sa.select(parts).scalar_subquery()), ARRAY(CatalogType(kind)))


def as_array(vectors: Iterable[ArrayLike]) -> np.ndarray:
    """Stored vectors as float32 of shape (rows, dimension). pgvector reads a halfvec as an object
    of its own. Raises SchemaError where they have several dimensions."""
    rows: list[Any] = [v.to_list() if hasattr(v, "to_list") else v for v in vectors]
    if len(dimensions := sorted({len(row) for row in rows})) > 1:
        raise SchemaError(
            f"a column holds vectors of {' and '.join(map(str, dimensions))} dimensions: expected "
            "one dimension: set table.where (init: --where) to a condition on the rows of one"
        )
    return np.array(rows, np.float32)


def vector_type(dimension: int) -> VECTOR | HALFVEC:
    """The type of a new column: vector, or halfvec where vector could not be indexed."""
    return VECTOR(dimension) if dimension <= MAX_VECTOR_DIMENSION else HALFVEC(dimension)
