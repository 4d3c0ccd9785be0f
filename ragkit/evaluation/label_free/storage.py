"""The new vectors in smaller types: half precision and fewer dimensions, with sizes and losses."""

from dataclasses import dataclass

import numpy as np
import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import MAX_HALFVEC_DIMENSION, MAX_VECTOR_DIMENSION
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.evaluation.metrics.space_similarity import nearest_rows, shared_neighbours
from ragkit.evaluation.samples import MAX_ROWS, normalise, sample_vectors
from ragkit.migration.migration import Migration

MIN_DIMENSION = 32
MAX_INDEX_DIMENSION = {"vector": MAX_VECTOR_DIMENSION, "halfvec": MAX_HALFVEC_DIMENSION}
"""Of an HNSW index, by type."""

_HAS_HALFVEC = sa.text("select to_regtype('halfvec') is not null")


@dataclass(frozen=True)
class StorageVariant:
    """One type of the new column, such as "halfvec(384)".

    `neighbours` is the share of a row's k nearest rows in the full space that it keeps, by exact
    search over `rows` rows with different texts. `index_bytes` is the size of an HNSW index over a
    sample of at most MAX_ROWS rows; None where the dimension is too large for HNSW.
    """

    type: str
    neighbours: Interval
    rows: int
    bytes_per_vector: int
    index_bytes: int | None


def storage_variants(migration: Migration) -> list[StorageVariant]:
    """Full vectors, half precision, and half precision with a half and a quarter of the
    dimensions.

    Fewer dimensions are the first ones, as Matryoshka models are trained for; other models lose
    more. Sizes are measured on temporary tables. [] before pgvector 0.7, which has no smaller type.
    Raises SpaceNotReady without vectors, and
    DatabaseError.
    """
    k, seed = migration.plan.evaluation.k, migration.plan.evaluation.seed
    vectors, full = sample_vectors(migration).distinct().new, migration.new.space.dimension
    smaller = [d for d in (full // 2, full // 4) if d >= MIN_DIMENSION]
    types = [("vector", full), *(("halfvec", dimension) for dimension in (full, *smaller))]
    full_neighbours = nearest_rows(vectors, k)
    variants = []
    with translate_errors("measuring storage variants"), migration.engine.connect() as connection:
        if not connection.scalar(_HAS_HALFVEC):
            return []
        for name, dimension in types:
            precision = np.float16 if name == "halfvec" else np.float32
            stored = normalise(vectors[:, :dimension]).astype(precision)
            shared = shared_neighbours(full_neighbours, nearest_rows(stored, k))
            vector_bytes, index_bytes = _measure_bytes(connection, migration, name, dimension)
            connection.rollback()
            variants.append(
                StorageVariant(
                    f"{name}({dimension})",
                    bootstrap_interval(shared, seed),
                    len(vectors),
                    vector_bytes,
                    index_bytes,
                )
            )
    return variants


def _measure_bytes(
    connection: sa.Connection, migration: Migration, name: str, dimension: int
) -> tuple[int, int | None]:
    """Bytes of a vector, and of an HNSW index over the sample."""
    table, stored = migration.new_place
    column = quote_identifier(stored)
    run = connection.exec_driver_sql
    run(
        f"create temporary table ragkit_variant on commit drop as select "
        f"l2_normalize(subvector({column}::vector, 1, {dimension:d}))::{name}({dimension:d}) v "
        f"from {table} where {column} is not null limit {MAX_ROWS:d}"
    )
    vector_bytes = run("select avg(pg_column_size(v))::int from ragkit_variant").scalar_one()
    if dimension > MAX_INDEX_DIMENSION[name]:
        return vector_bytes, None
    run(f"create index ragkit_variant_hnsw on ragkit_variant using hnsw (v {name}_cosine_ops)")
    index_bytes = run("select pg_relation_size('pg_temp.ragkit_variant_hnsw')").scalar_one()
    return vector_bytes, index_bytes
