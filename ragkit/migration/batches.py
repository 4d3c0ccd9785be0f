"""Pending rows in batches: keyset pagination within the stripes that this process has claimed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.migration import coverage
from ragkit.migration.claims import in_stripe
from ragkit.migration.patience import patiently
from ragkit.migration.subject import Migration
from ragkit.migration.verbatim import Verbatim


@dataclass(frozen=True)
class Batch:
    """Keys in their text form, and the texts as they were read."""

    keys: list[str]
    texts: list[str]


def batches(migration: Migration, claimed: Iterator[int], stripes: int) -> Iterator[Batch]:
    """Half a batch_size each: one is with the model while another is written, so that a kill
    never costs more than one batch_size of embeddings. Ends at the key that was the last pending
    one at a stripe's start: steady inserts behind it are the next pass's."""
    for stripe in claimed:
        where = in_stripe(migration, stripe, stripes)
        end, after = patiently(_last_key, migration, where), None
        while end is not None and (rows := patiently(_page, migration, where, after, end)):
            after = rows[-1][0]
            yield Batch([row[0] for row in rows], [row[1] for row in rows])


def _last_key(migration: Migration, where: sa.ColumnElement[bool]) -> str | None:
    query = _pending(migration, where).order_by(migration.key.desc()).limit(1)
    with plain_errors("reading pending rows"), migration.engine.connect() as connection:
        return connection.scalar(query)


def _page(
    migration: Migration, where: sa.ColumnElement[bool], after: str | None, end: str
) -> Sequence[sa.Row]:
    """Pending rows in the order of the key, in a short transaction of their own."""
    key = Verbatim(migration.key_type)
    query = (
        _pending(migration, where)
        .where(migration.key <= sa.cast(end, key))
        .order_by(migration.key)
        .limit(max(1, migration.plan.batch_size // 2))
    )
    if after is not None:
        query = query.where(migration.key > sa.cast(after, key))
    with plain_errors("reading pending rows"), migration.engine.connect() as connection:
        return connection.execute(query).all()


def _pending(migration: Migration, where: sa.ColumnElement[bool]) -> sa.Select:
    columns = sa.cast(migration.key, sa.Text), migration.content
    return (
        sa.select(*columns)
        .select_from(migration.table)
        .where(coverage.is_pending(migration), where)
    )
