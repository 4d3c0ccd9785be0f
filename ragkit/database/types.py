"""SQL types: those of vectors, and those that SQLAlchemy has no class for."""

from typing import Any

from pgvector.sqlalchemy import HALFVEC, VECTOR
from sqlalchemy.types import UserDefinedType

MAX_VECTOR_DIMENSION = 2000
"""HNSW indexes vector up to this dimension, and halfvec up to 4,000; see pgvector's README."""


class CatalogType(UserDefinedType[Any]):
    """A type by its name in PostgreSQL's catalogue."""

    cache_ok = True

    def __init__(self, name: str):
        self.name = name

    def get_col_spec(self, **_: object) -> str:
        return self.name


def vector_type(dimension: int) -> VECTOR | HALFVEC:
    """The type of a new column: vector, or halfvec where vector could not be indexed."""
    return VECTOR(dimension) if dimension <= MAX_VECTOR_DIMENSION else HALFVEC(dimension)
