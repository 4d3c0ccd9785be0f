"""Rows to embed: where they are, and their keys and texts.

The rows of a range are worked off by their line pointers, one row of each page at a time: what a
write leaves behind on a page is pruned, and makes room for the page's next row. That keeps updates
HOT, and the old column's index untouched.
"""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY

from ragkit.database.translate import translate_errors
from ragkit.database.types import CatalogType
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.leaf import LeafGone, LeafMigration, unless_gone
from ragkit.migration.progress import coverage
from ragkit.migration.work import sweep
from ragkit.migration.work.sweep import Range

_TID = CatalogType("tid")
_CTID: sa.ColumnElement[Any] = sa.column("ctid", _TID)


class Row(NamedTuple):
    """The key in its text form, and the text as it was read."""

    key: str
    text: str


class Place(NamedTuple):
    """A row's ctid, and the length of its text in bytes. With a side table, which leaves the rows
    alone, its key instead: a row that moves on its page is found by it."""

    at: str
    size: int


def places(migration: LeafMigration, claimed: Range) -> list[Place] | None:
    """The rows of a range of the leaf that have a text and no vector, one of each page at a time;
    None when the leaf was rewritten meanwhile, or is gone: then it is walked again, if it is there.
    Raises DatabaseError."""
    size = sa.func.octet_length(migration.content)
    is_beside = migration.plan.new.is_beside
    at = migration.key_text if is_beside else sa.cast(_CTID, sa.Text)
    query = migration.select(_as_json(at, size)).where(
        *coverage.in_blocks(claimed.first, claimed.end), migration.new_vector.is_(None), size > 0
    )
    try:
        with translate_errors("reading a range"), migration.engine.begin() as connection:
            with unless_gone(migration):
                found = [Place(*row) for row in connection.scalar(query) or ()]
            is_current = sweep.is_current(connection, claimed)
    except LeafGone:
        is_current = False
    if not is_current:
        sweep.forget(migration, claimed.leaf)
        return None
    return found if is_beside else sorted(found, key=_by_line_pointer)


def read_places(migration: LeafMigration, chosen: Sequence[Place]) -> list[Row]:
    """Those that are still there and pending; one that has moved meanwhile is in the queue, and a
    leaf that has another name is walked again. Raises DatabaseError."""
    places = [place.at for place in chosen]
    if migration.plan.new.is_beside:
        return read_keys(migration, places)
    ctids = _array(places, "tid")
    try:
        return _read(migration, sa.any_(ctids) == _CTID)
    except LeafGone:
        sweep.forget(migration, migration.leaf)
        return []


def read_keys(migration: Migration, keys: Sequence[str]) -> list[Row]:
    """Those that are there and pending. Raises DatabaseError."""
    return _read(migration, migration.key == sa.any_(_array(keys, migration.key_type)))


def _read(migration: Migration, where: sa.ColumnElement[bool]) -> list[Row]:
    query = migration.select(_as_json(migration.key_text, migration.content))
    query = query.where(where, coverage.is_pending(migration))
    with (
        translate_errors("reading rows"),
        migration.engine.connect() as connection,
        unless_gone(migration),
    ):
        return [Row(*row) for row in connection.scalar(query) or ()]


def _as_json(*columns: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """All rows as one JSON array of arrays: pg8000 takes half as long as for rows of their own."""
    return sa.func.json_agg(sa.func.json_build_array(*columns))


def _array(texts: Sequence[str], kind: str) -> sa.ColumnElement[Any]:
    """Texts as an array of an SQL type: one value, which pg8000 need not escape."""
    parts = sa.func.json_array_elements_text(
        sa.cast(json.dumps(list(texts)), sa.Text).cast(sa.JSON)
    )
    return sa.cast(sa.func.array(sa.select(parts).scalar_subquery()), ARRAY(CatalogType(kind)))


def _by_line_pointer(place: Place) -> tuple[int, int]:
    block, pointer = place.at[1:-1].split(",")
    return int(pointer), int(block)
