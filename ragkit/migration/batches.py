"""Pending rows in batches: keyset pagination within the stripes that this process has claimed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from ragkit.database import plain_errors
from ragkit.migration import coverage
from ragkit.migration.claims import in_stripe
from ragkit.migration.subject import Migration
from ragkit.migration.verbatim import Verbatim


@dataclass(frozen=True)
class Batch:
    """Keys in their text form, and the texts as they were read."""

    keys: list[str]
    texts: list[str]


def batches(migration: Migration, claimed: Iterator[int], stripes: int) -> Iterator[Batch]:
    for stripe in claimed:
        after = None
        while rows := _page(migration, in_stripe(migration, stripe, stripes), after):
            after = rows[-1][0]
            yield Batch([row[0] for row in rows], [row[1] for row in rows])


def _page(
    migration: Migration, where: sa.ColumnElement[bool], after: str | None
) -> Sequence[sa.Row]:
    """Pending rows in the order of the key, in a short transaction of their own."""
    query = (
        sa.select(sa.cast(migration.key, sa.Text), migration.content)
        .select_from(migration.table)
        .where(coverage.is_pending(migration), where)
        .order_by(migration.key)
        .limit(migration.plan.batch_size)
    )
    if after is not None:
        query = query.where(migration.key > sa.cast(after, Verbatim(migration.key_type)))
    with plain_errors("reading pending rows"), migration.engine.connect() as connection:
        return connection.execute(query).all()
