"""How far the new column is: which rows are pending, and how many of each kind there are."""

from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.migration.aside import is_set_aside
from ragkit.migration.subject import Migration
from ragkit.migration.verbatim import Verbatim

_NOT_BLANK = r"[^\s\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
"""A character that is no white space, as PostgreSQL's regular expressions write it."""


@dataclass(frozen=True)
class Coverage:
    """Counts of rows. `empty` ones have NULL or blank content: reported, never sent to a model;
    `set_aside` ones were refused by the model, each with its reason in the ledger."""

    rows: int
    filled: int
    pending: int
    empty: int
    set_aside: int

    @property
    def share(self) -> float:
        """Of the rows that can have a vector; 1.0 for none."""
        wanted = self.filled + self.pending + self.set_aside
        return self.filled / wanted if wanted else 1.0


def has_text(content: sa.ColumnElement) -> sa.ColumnElement[bool]:
    return sa.func.coalesce(content.regexp_match(_NOT_BLANK), sa.false())


def is_pending(migration: Migration) -> sa.ColumnElement[bool]:
    return _is_missing(migration) & ~is_set_aside(migration)


def _is_missing(migration: Migration) -> sa.ColumnElement[bool]:
    return migration.new_vector.is_(None) & has_text(migration.content)


SNAPSHOT = sa.text("select pg_snapshot_xmin(pg_current_snapshot())::text::bigint")


def older(connection: sa.Connection, migration: Migration, since: int) -> int:
    """Pending rows whose last write is older than the snapshot `since` (see SNAPSHOT).

    By the row's xmin; age() counts transactions and knows that their numbers wrap around.
    """
    written = sa.func.age(sa.column("xmin"))
    mark = sa.func.age(sa.cast(sa.literal(str(since % 2**32), sa.Text), Verbatim("xid")))
    query = sa.select(sa.func.count()).select_from(migration.table)
    return connection.scalar(query.where(is_pending(migration), written > mark))


def count(connection: sa.Connection, migration: Migration) -> Coverage:
    """One statement, so that the numbers agree while others write."""
    vector, texts = migration.new_vector, has_text(migration.content)
    query = sa.select(
        sa.func.count(),
        sa.func.count().filter(vector.is_not(None)),
        sa.func.count().filter(is_pending(migration)),
        sa.func.count().filter(~texts),
        sa.func.count().filter(_is_missing(migration) & is_set_aside(migration)),
    ).select_from(migration.table)
    return Coverage(*connection.execute(query).one())
