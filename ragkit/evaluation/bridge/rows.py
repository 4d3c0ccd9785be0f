"""Rows that may have both vectors: read from pages that are spread over the table."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sqlalchemy as sa

from ragkit.database.translate import translate_errors
from ragkit.database.types import as_array
from ragkit.migration.inspection.whose.vector_sample import some_pages
from ragkit.migration.migration import Migration
from ragkit.migration.progress.coverage import has_text
from ragkit.migration.progress.dead_letters import is_dead_letter
from ragkit.migration.rescue.approximated import find_events, is_marked


@dataclass(frozen=True, eq=False)
class SampledRow:
    """`old` and `new` have shape (dimension,); `new` is None where it is missing, `is_refused` says
    that the model does not take the text."""

    key: str
    text: str
    old: np.ndarray
    new: np.ndarray | None
    is_refused: bool


def read_spread(migration: Migration, limit: int) -> list[SampledRow]:
    """At most `limit` rows with a text and an old vector of the old model, the same ones each time,
    those that have a new one first; of a large table, from some of its pages. Raises
    DatabaseError."""
    names = migration.plan.table
    table = sa.table(names.name, *map(sa.column, names.keys), schema=names.schema_name)
    with translate_errors("sampling rows"), migration.engine.connect() as connection:
        pages = some_pages(connection, table)
        keys = sa.select(*(pages.c[name] for name in names.keys))
        order = migration.new_vector.is_(None), sa.func.md5(migration.key_text)
        query = _query(connection, migration, migration.key_tuple.in_(keys))
        return list(map(_row, connection.execute(query.order_by(*order).limit(limit))))


def read_keys(migration: Migration, keys: Sequence[str]) -> list[SampledRow]:
    """The rows of these keys that still have a text and an old vector of the old model. Raises
    DatabaseError."""
    is_one = migration.has_key(keys)
    with translate_errors("sampling rows"), migration.engine.connect() as connection:
        return list(map(_row, connection.execute(_query(connection, migration, is_one))))


def _query(
    connection: sa.Connection, migration: Migration, where: sa.ColumnElement[bool]
) -> sa.Select[Any]:
    columns = (
        migration.key_text, migration.content, migration.old_vector, migration.new_vector,
        is_dead_letter(migration).label("is_refused"),
    )  # fmt: skip
    events = find_events(connection, migration)
    return migration.select(*columns).where(
        where, migration.old_vector.is_not(None), has_text(migration.content),
        ~is_marked(events, migration.key_text, migration.old_vector),
    )  # fmt: skip


def _row(row: Iterable[Any]) -> SampledRow:
    key, text, old, new, is_refused = row
    return SampledRow(
        key, text, as_array([old])[0], None if new is None else as_array([new])[0], is_refused
    )
