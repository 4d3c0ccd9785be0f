"""Row counts of the new column: filled, pending, empty, dead letters."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.types import CatalogType
from ragkit.migration.migration import Migration
from ragkit.migration.progress.dead_letters import is_dead_letter

_NOT_BLANK = r"[^\s\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""A character that is not white space, as a PostgreSQL regular expression."""

CURRENT_SNAPSHOT = sa.text("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")
"""The oldest transaction that is still running."""


@dataclass(frozen=True)
class RowCounts:
    """Counts of rows. `pending` rows have a text and no vector; `empty` rows have no text, or
    white space only, and are never sent to a model; `dead_letters` were refused by the model."""

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


def count_rows(connection: sa.Connection, migration: Migration) -> RowCounts:
    """One statement, so that the counts agree while others write."""
    query = migration.select(
        sa.func.count(),
        sa.func.count().filter(migration.new_vector.is_not(None)),
        sa.func.count().filter(is_pending(migration)),
        sa.func.count().filter(~has_text(migration.content)),
        sa.func.count().filter(_is_missing(migration) & is_dead_letter(migration)),
    )
    return RowCounts(*connection.execute(query).one())


def count_before_expand(connection: sa.Connection, migration: Migration) -> RowCounts:
    """When the new column is not there yet: every row is pending."""
    rows = connection.scalar(migration.select(sa.func.count())) or 0
    return RowCounts(rows, filled=0, pending=rows, empty=0, dead_letters=0)


def count_older(connection: sa.Connection, migration: Migration, since: int) -> int:
    """Pending rows that were last written before the snapshot `since` (see CURRENT_SNAPSHOT).

    By the row's xmin: age() counts transactions, and knows that their numbers wrap around.
    """
    row_age = sa.func.age(sa.column("xmin"))
    snapshot = sa.cast(sa.literal(str(since % 2**32), sa.Text), CatalogType("xid"))
    query = migration.select(sa.func.count())
    query = query.where(is_pending(migration), row_age > sa.func.age(snapshot))
    return connection.scalar(query) or 0


def has_text(content: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """True for a text with a character that is not white space."""
    return sa.func.coalesce(content.regexp_match(_NOT_BLANK), sa.false())


def is_pending(migration: Migration) -> sa.ColumnElement[bool]:
    """True for a row that has a text and no vector, and is no dead letter."""
    return _is_missing(migration) & ~is_dead_letter(migration)


def _is_missing(migration: Migration) -> sa.ColumnElement[bool]:
    return migration.new_vector.is_(None) & has_text(migration.content)
