"""Row counts of the new column: filled, pending, empty, dead letters."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import sqlalchemy as sa

from ragkit.database.types import CTID, TID
from ragkit.migration.migration import Migration
from ragkit.migration.partitions import tree
from ragkit.migration.partitions.leaf import LeafMigration, of_leaves
from ragkit.migration.progress.dead_letters import is_dead_letter
from ragkit.retrieval.rescue.coverage import NOT_BLANK

PAGES, STRETCHES = 256, 16
"""What an estimate reads: so many pages, in so many stretches."""

COUNTED = 64 * PAGES
"""So many pages (128 MB) are read in a moment. Rows of a filter may be in few of them."""


@dataclass(frozen=True)
class RowCounts:
    """Counts of rows. `pending` rows have a text and no vector; `empty` rows have neither, or
    white space for a text, and are never sent to a model; `dead_letters` were refused by it."""

    rows: int
    filled: int
    pending: int
    empty: int
    dead_letters: int

    @property
    def fillable(self) -> int:
        """Rows that can have a vector."""
        return self.filled + self.pending + self.dead_letters

    @property
    def coverage(self) -> float:
        """The share of the fillable rows that have a vector; 1.0 when there are none."""
        return self.filled / self.fillable if self.fillable else 1.0


NONE = RowCounts(0, 0, 0, 0, 0)


def count_rows(
    connection: sa.Connection, migration: Migration, *where: sa.ColumnElement[bool]
) -> RowCounts:
    """By reading every row, or those of `where`: one statement, so that the counts agree while
    others write."""
    return RowCounts(*connection.execute(_counts(migration, *where)).one())


def estimate_rows(
    connection: sa.Connection, migration: Migration, *, expanded: bool = True
) -> RowCounts:
    """By reading PAGES pages, spread over the table; exact for a smaller one, and up to COUNTED
    pages where the read ones have no row. Before `expanded`, there is no new column, and every row
    is pending."""
    counts_of = _counts if expanded else _counts_before
    leaves = of_leaves(connection, migration)
    blocks = sum(leaf.leaf.blocks for leaf in leaves)
    if blocks <= PAGES:
        return RowCounts(*connection.execute(counts_of(migration)).one())
    stretches = _stretches(leaves, blocks)
    parts = [counts_of(leaf, *in_blocks(first, end)) for leaf, first, end in stretches]
    some = sa.union_all(*parts).subquery()
    seen = connection.execute(sa.select(*(sa.func.sum(column) for column in some.c))).one()
    if blocks <= COUNTED and not any(seen):
        return RowCounts(*connection.execute(counts_of(migration)).one())
    pages = sum(end - first for _, first, end in stretches)
    return RowCounts(*(int(count * blocks // pages) for count in seen))


def _stretches(
    leaves: Sequence[LeafMigration], blocks: int
) -> list[tuple[LeafMigration, int, int]]:
    """Of the leaves one after another, STRETCHES parts, each with its first block and its end; one
    ends with its leaf."""
    ends = list(accumulate(leaf.leaf.blocks for leaf in leaves))
    found = []
    for stretch in range(STRETCHES):
        place = stretch * blocks // STRETCHES
        leaf, end = next((leaf, end) for leaf, end in zip(leaves, ends, strict=True) if end > place)
        first = place - (end - leaf.leaf.blocks)
        found.append((leaf, first, min(first + PAGES // STRETCHES, leaf.leaf.blocks)))
    return found


def count_blocks(connection: sa.Connection, migration: Migration) -> int:
    """Of the heaps of the table's leaves."""
    return tree.count_blocks(connection, migration.quoted_table)


def in_blocks(first: int, end: int) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """True for the rows of heap blocks from `first` up to `end`, without it."""
    return sa.cast(f"({first:d},0)", TID) <= CTID, sa.cast(f"({end:d},0)", TID) > CTID


def has_text(content: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """True for a text with a character that is not white space."""
    return sa.func.coalesce(content.regexp_match(NOT_BLANK), sa.false())


def is_pending(migration: Migration) -> sa.ColumnElement[bool]:
    """True for a row that has a text and no vector, and is no dead letter."""
    return _is_missing(migration) & ~is_dead_letter(migration)


def _is_missing(migration: Migration) -> sa.ColumnElement[bool]:
    return migration.new_vector.is_(None) & has_text(migration.content)


def _counts(migration: Migration, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    """In the order of RowCounts. White space is looked for only where there is no vector."""
    state = sa.case(
        (migration.new_vector.is_not(None), "filled"),
        (~has_text(migration.content), "empty"),
        (is_dead_letter(migration), "dead letter"),
        else_="pending",
    )
    # OFFSET: else a vector would be looked up in a side table once for each count
    rows = migration.select(state.label("state")).where(*where).offset(0).subquery()
    counts = {
        name: sa.func.count().filter(rows.c.state == name).label(name)
        for name in ("filled", "pending", "empty", "dead letter")
    }
    total: sa.ColumnElement[Any] = sa.func.count().label("rows")
    return sa.select(total).add_columns(*counts.values()).select_from(rows)


def _counts_before(migration: Migration, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    none, count = sa.literal(0), sa.func.count()
    return migration.select(
        count.label("rows"), none.label("filled"), count.label("pending"),
        none.label("empty"), none.label("dead letter"),
    ).where(*where)  # fmt: skip
