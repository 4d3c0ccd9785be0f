"""How far the new column is: which rows are pending, and how many of each kind there are."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.migration.subject import Migration

_NOT_BLANK = r"[^\s\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""A character that is no white space, as PostgreSQL's regular expressions write it."""


@dataclass(frozen=True)
class Coverage:
    """Counts of rows. `empty` rows have NULL or blank content: reported, never sent to a model."""

    rows: int
    filled: int
    pending: int
    empty: int

    @property
    def share(self) -> float:
        """Of the rows that can have a vector; 1.0 for none."""
        wanted = self.filled + self.pending
        return self.filled / wanted if wanted else 1.0


def has_text(content: sa.ColumnElement) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(content.regexp_match(_NOT_BLANK), sa.false())


def is_pending(migration: Migration) -> sa.ColumnElement[bool]:
    return migration.new_vector.is_(None) & has_text(migration.content)


def count(connection: sa.Connection, migration: Migration) -> Coverage:
    """One statement, so that the numbers agree while others write."""
    vector, texts = migration.new_vector, has_text(migration.content)
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(vector.is_not(None)),
        sa.func.count().filter(is_pending(migration)),
        sa.func.count().filter(~texts),
    ).select_from(migration.table)
    return Coverage(*connection.execute(query).one())
