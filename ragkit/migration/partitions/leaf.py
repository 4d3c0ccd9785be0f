"""A migration as it is seen from one leaf: its queries read that leaf alone.

A ctid names a row of a leaf, not of a partitioned table, and PostgreSQL prunes no partition by
tableoid: so ranges of blocks are read from the leaf itself.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ragkit.database.translate import sqlstate
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import Leaf, read_leaves

UNDEFINED_TABLE = "42P01"
"""The SQLSTATE of a statement on a table that was dropped or renamed."""


class LeafGone(Exception):
    """A partition was dropped or renamed since the catalogue was read."""


@dataclass(frozen=True)
class LeafMigration(Migration):
    """Queue, dead letters, contract and ledger are those of the whole table."""

    leaf: Leaf

    @property
    def is_partition(self) -> bool:
        return self.leaf.regclass != super().quoted_table

    @property
    def quoted_table(self) -> str:
        return self.leaf.regclass

    def _make_table(self) -> sa.TableClause:
        columns = (sa.column(c.name, c.type) for c in super()._make_table().columns)
        return sa.table(self.leaf.name, *columns, schema=self.leaf.schema)


def of_leaf(migration: Migration, leaf: Leaf) -> LeafMigration:
    """Calls no model."""
    asked = vars(migration)
    return LeafMigration(
        migration.plan,
        migration.engine,
        migration.known_old or asked.get("old"),
        migration.known_new or asked.get("new"),
        migration.terms,
        leaf,
    )


def of_leaves(connection: sa.Connection, migration: Migration) -> list[LeafMigration]:
    """One for each leaf that the table has now."""
    return [of_leaf(migration, leaf) for leaf in read_leaves(connection, migration.quoted_table)]


@contextmanager
def unless_gone(migration: Migration) -> Iterator[None]:
    """Raises LeafGone in place of the driver's error where the partition is gone that is read."""
    try:
        yield
    except DBAPIError as error:
        is_partition = isinstance(migration, LeafMigration) and migration.is_partition
        if is_partition and sqlstate(error) == UNDEFINED_TABLE:
            raise LeafGone from None
        raise
