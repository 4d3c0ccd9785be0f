"""Vectors that somebody has already put into the new column: kept after a check of a sample."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.embedding.embedder import Embedder
from ragkit.errors import SpaceMismatch
from ragkit.migration import ledger
from ragkit.migration.inspection.fidelity import measure_fidelity
from ragkit.migration.migration import Migration

CHECKED_ROWS = 200
_HAS_COLUMN = sa.text("""
    select exists (select from pg_attribute
        where attrelid = to_regclass(:table) and attname = :column and not attisdropped)
""")


@dataclass(frozen=True)
class Adoption:
    """`vectors` were there; those of `checked` sampled rows are the new model's, with
    `lowest_cosine` between a stored vector and one made again."""

    vectors: int
    checked: int
    lowest_cosine: float

    def record(self, connection: sa.Connection, migration: Migration) -> None:
        """In the ledger."""
        ledger.record(connection, migration.id, "adopted", **asdict(self))


def check_adoption(migration: Migration, embedder: Embedder | None) -> Adoption | None:
    """None when the new column holds no vector. Embeds up to CHECKED_ROWS texts again.

    A text that changed after its vector was made is found by chance only: such a row is foreign.
    Raises SpaceMismatch when one of the rows is foreign or none can be checked, ModelError or
    DatabaseError.
    """
    count = _count_vectors(migration)
    if not count:
        return None
    column, table = quote_identifier(migration.plan.new.column), migration.quoted_table
    if embedder is None:
        raise SpaceMismatch(f"{column} holds {count} vectors: their check needs the new model")
    fidelity = measure_fidelity(migration, migration.new_vector, embedder, CHECKED_ROWS)
    if fidelity.foreign or not fidelity.rows:
        raise SpaceMismatch(
            f"{column} holds {count} vectors, and {len(fidelity.foreign)} of {fidelity.rows} that "
            f"were looked at are not those of {embedder.model.name}: {fidelity.describe()}; "
            f"nothing was changed: set them to NULL, or all: UPDATE {table} SET {column} = NULL"
        )
    return Adoption(count, fidelity.rows, round(fidelity.lowest_cosine, 4))


def _count_vectors(migration: Migration) -> int:
    names = {"table": migration.quoted_table, "column": migration.plan.new.column}
    with translate_errors("looking for vectors"), migration.engine.connect() as connection:
        if not connection.scalar(_HAS_COLUMN, names):
            return 0
        query = migration.select(sa.func.count(migration.new_vector))
        return connection.scalar(query) or 0
