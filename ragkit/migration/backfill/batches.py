"""Pending rows in batches: keyset pagination within the stripes that this process has claimed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CatalogType
from ragkit.migration.backfill.stripes import in_stripe
from ragkit.migration.migration import Migration
from ragkit.migration.progress import coverage
from ragkit.retry import retry_database


@dataclass(frozen=True)
class Batch:
    """Keys in their text form, and the texts as they were read."""

    keys: list[str]
    texts: list[str]


def pending_batches(migration: Migration, claimed: Iterator[int], stripes: int) -> Iterator[Batch]:
    """Batches of half a batch_size: one is with the model while another is written, so that a
    kill costs the embeddings of one batch_size at most.

    A stripe ends at the key that was its last pending one at the start: rows inserted behind it
    belong to the next pass. Raises DatabaseError.
    """
    for stripe in claimed:
        where = in_stripe(migration, stripe, stripes)
        end: str | None = retry_database(_last_key, migration, where)
        after: str | None = None
        while end is not None and (page := retry_database(_page, migration, where, after, end)):
            keys, texts = map(list, zip(*page, strict=True))
            after = keys[-1]
            yield Batch(keys, texts)


def _last_key(migration: Migration, where: sa.ColumnElement[bool]) -> str | None:
    query = _pending(migration, where).order_by(migration.key.desc()).limit(1)
    with translate_errors("reading pending rows"), migration.engine.connect() as connection:
        key: str | None = connection.scalar(query)
        return key


def _page(
    migration: Migration, where: sa.ColumnElement[bool], after: str | None, end: str
) -> Sequence[sa.Row[Any]]:
    """Pending rows in the order of the key, in a short transaction of their own."""
    key_type = CatalogType(migration.key_type)
    query = (
        _pending(migration, where)
        .where(migration.key <= sa.cast(end, key_type))
        .order_by(migration.key)
        .limit(max(1, migration.plan.backfill.batch_size // 2))
    )
    if after is not None:
        query = query.where(migration.key > sa.cast(after, key_type))
    with translate_errors("reading pending rows"), migration.engine.connect() as connection:
        return connection.execute(query).all()


def _pending(migration: Migration, where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    columns = migration.select(migration.key_text, migration.content)
    return columns.where(coverage.is_pending(migration), where)
