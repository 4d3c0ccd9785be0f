"""The new vectors in other forms, side by side: half precision, fewer dimensions, their sizes."""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.comparison.metrics import Interval, interval
from ragkit.comparison.vectors import MOST_ROWS, stored, unit
from ragkit.database import plain_errors, quoted
from ragkit.migration.subject import Migration

SMALLEST = 32
INDEXED = {"vector": 2000, "halfvec": 4000}
"""Dimensions that HNSW takes at most; see pgvector's README."""


@dataclass(frozen=True)
class Variant:
    """`neighbours`: of its k nearest rows in the full space, how many a row keeps, exactly
    searched, over `rows` rows of different texts. Bytes are of a sample of at most MOST_ROWS;
    None for what HNSW does not take."""

    type: str
    neighbours: Interval
    rows: int
    bytes_per_vector: int
    index_bytes: int | None


def variants(migration: Migration) -> list[Variant]:
    """Full vectors, half precision, and that with a half and a quarter of the dimensions (the
    first ones, as Matryoshka models are made for; others lose more). Built in temporary tables
    from a sample; nothing stays. Raises SpaceNotReady without vectors."""
    vectors, full = stored(migration).distinct().new, migration.new.space.dimension
    forms = [("vector", full)] + [
        ("halfvec", d) for d in (full, full // 2, full // 4) if d == full or d >= SMALLEST
    ]
    before = _near(vectors, migration.plan.k)
    found = []
    with plain_errors("measuring variants"), migration.engine.connect() as connection:
        for kind, dimension in forms:
            exact = np.float16 if kind == "halfvec" else np.float32
            after = _near(unit(vectors[:, :dimension]).astype(exact), migration.plan.k)
            kept = [
                len(set(a) & set(b)) / len(a) if len(a) else 1.0
                for a, b in zip(before.tolist(), after.tolist(), strict=True)
            ]
            sizes = _sizes(connection, migration, kind, dimension)
            same = interval(np.array(kept), migration.plan.seed)
            found.append(Variant(f"{kind}({dimension})", same, len(vectors), *sizes))
            connection.rollback()
    return found


def _near(vectors: np.ndarray, k: int) -> np.ndarray:
    wide = vectors.astype(np.float64)
    similarity = wide @ wide.T
    np.fill_diagonal(similarity, -np.inf)
    return np.argsort(-similarity, axis=1, kind="stable")[:, : min(k, len(vectors) - 1)]


def _sizes(
    connection: sa.Connection, migration: Migration, kind: str, dimension: int
) -> tuple[int, int | None]:
    """Bytes of a vector, and of an HNSW index over the sample."""
    plan = migration.plan
    column, table = quoted(plan.new_column), quoted(plan.table_schema, plan.table)
    run = connection.exec_driver_sql
    run(
        f"create temporary table ragkit_variant on commit drop as select "
        f"l2_normalize(subvector({column}::vector, 1, {dimension:d}))::{kind}({dimension:d}) v "
        f"from {table} where {column} is not null limit {MOST_ROWS:d}"
    )
    size = run("select avg(pg_column_size(v))::int from ragkit_variant").scalar()
    if dimension > INDEXED[kind]:
        return size, None
    run(f"create index ragkit_variant_hnsw on ragkit_variant using hnsw (v {kind}_cosine_ops)")
    return size, run("select pg_relation_size('pg_temp.ragkit_variant_hnsw')").scalar()
