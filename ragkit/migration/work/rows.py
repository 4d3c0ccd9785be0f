"""Rows to embed: where they are, and their keys and texts.

The rows of a range are worked off one of each page at a time, the longest first: what a write
leaves behind on a page is pruned, and makes room for the page's next row, which is no longer. That
keeps updates HOT, and the old column's index untouched.
"""

from collections.abc import Sequence
from functools import partial
from itertools import chain, groupby, zip_longest
from operator import attrgetter
from typing import Any, NamedTuple

import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import CTID, TID, text_array
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafGone, LeafMigration, unless_gone
from ragkit.migration.progress import coverage
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep import Range


class Row(NamedTuple):
    """The key in its text form, and the text as it was read."""

    key: str
    text: str


class Place(NamedTuple):
    """A row's ctid, and the length of its text in bytes. With a side table, which leaves the rows
    alone, its key instead: a row that moves on its page is found by it."""

    at: str
    size: int


_ROW, _PLACE = partial(tuple.__new__, Row), partial(tuple.__new__, Place)
"""Without the call of Python that Row(*values) costs each row."""
_SIZE = attrgetter("size")


def places(migration: LeafMigration, claimed: Range) -> list[Place] | None:
    """The rows of a range of the leaf that have a text and no vector, one of each page at a time;
    None when the leaf was rewritten meanwhile, or is gone: then it is walked again, if it is there.
    Raises DatabaseError."""
    size = sa.func.octet_length(migration.content)
    is_beside = migration.plan.new.is_beside
    at = migration.key_text if is_beside else sa.cast(CTID, sa.Text)
    query = migration.select(_as_json(at, size)).where(
        *coverage.in_blocks(claimed.first, claimed.end), migration.new_vector.is_(None), size > 0
    )
    try:
        with translate_errors("reading a range"), migration.engine.begin() as connection:
            with unless_gone(migration):
                found = list(map(_PLACE, connection.scalar(query) or ()))
            is_current = sweep.is_current(connection, claimed)
    except LeafGone:
        is_current = False
    if not is_current:
        sweep.forget(migration, claimed.leaf)
        return None
    return found if is_beside else stripe(found)


def stripe(found: Sequence[Place]) -> list[Place]:
    """Rows that come block by block, one of each page at a time, the longest of each page first."""
    pages = (sorted(page, key=_SIZE, reverse=True) for _, page in groupby(found, key=_block))
    return [place for place in chain.from_iterable(zip_longest(*pages)) if place]


def read_places(migration: LeafMigration, chosen: Sequence[Place]) -> list[Row]:
    """Those that are still there and pending; one that has moved meanwhile is in the queue, and a
    leaf that has another name is walked again. Raises DatabaseError."""
    places = [place.at for place in chosen]
    if migration.plan.new.is_beside:
        return read_keys(migration, places)
    ctids = text_array(places, TID.name)
    try:
        return _read(migration, sa.any_(ctids) == CTID)
    except LeafGone:
        sweep.forget(migration, migration.leaf)
        return []


def read_keys(migration: Migration, keys: Sequence[str]) -> list[Row]:
    """Those that are there and pending. Raises DatabaseError."""
    return _read(migration, migration.has_key(keys))


def _read(migration: Migration, where: sa.ColumnElement[bool]) -> list[Row]:
    query = migration.select(_as_json(migration.key_text, migration.content))
    query = query.where(where, coverage.is_pending(migration))
    with (
        translate_errors("reading rows"),
        migration.engine.connect() as connection,
        unless_gone(migration),
    ):
        return list(map(_ROW, connection.scalar(query) or ()))


def _as_json(*columns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """All rows as one JSON array of arrays: pg8000 takes half as long as for rows of their own."""
    return sa.func.json_agg(sa.func.json_build_array(*columns))


def _block(place: Place) -> str:
    return place.at.partition(",")[0]
