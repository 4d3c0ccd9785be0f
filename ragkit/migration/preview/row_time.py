"""How long the database takes to read a row for the backfill, measured on the table."""

import time

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CTID, TID, text_array
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import of_leaves
from ragkit.migration.progress.coverage import has_text, in_blocks

READ_BLOCKS = 64


def time_reads(migration: Migration) -> float:
    """Seconds a row of the largest leaf's first blocks: where rows are, then their texts. Raises
    DatabaseError."""
    with translate_errors("the trial"), migration.engine.connect() as connection:
        leaves = of_leaves(connection, migration)
        leaf = max(leaves, key=lambda leaf: leaf.leaf.blocks, default=migration)
        places = leaf.select(sa.cast(CTID, sa.Text)).where(
            *in_blocks(0, READ_BLOCKS), has_text(leaf.content)
        )
        texts = leaf.select(leaf.key_text, leaf.content)
        start = time.monotonic()
        ctids = list(connection.scalars(places))
        if not ctids:
            return 0.0
        connection.execute(texts.where(sa.any_(text_array(ctids, TID.name)) == CTID)).all()
        return (time.monotonic() - start) / len(ctids)
