"""What is left in the ranges that workers are busy with."""

import sqlalchemy as sa

from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import of_leaf
from ragkit.migration.progress.coverage import in_blocks
from ragkit.migration.work import sweep


def missing_in_claims(connection: sa.Connection, migration: Migration) -> int:
    """Rows without a vector, also those without a text. Reads the ranges."""
    missing = 0
    for claimed in sweep.claims(connection, migration):
        leaf = of_leaf(migration, claimed.leaf)
        blocks = in_blocks(claimed.first, claimed.end)
        rows = leaf.select(sa.func.count()).where(*blocks, leaf.new_vector.is_(None))
        missing += connection.scalar(rows) or 0
    return missing
