"""Dead letters: rows that the model refused, each with its reason, until their text changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.database.own_tables import create_own_tables
from ragkit.database.translate import translate_errors
from ragkit.migration.migration import Migration
from ragkit.migration.work.tables import QUEUE, exist
from ragkit.retrieval.contract import SCHEMA

_metadata = sa.MetaData(schema=SCHEMA)
DEAD_LETTER = sa.Table(
    "dead_letter",
    _metadata,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),  # md5 of the refused text
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)


@dataclass(frozen=True)
class DeadLetter:
    """`key` is the row's key in its text form."""

    key: str
    reason: str
    at: datetime


def create_table(connection: sa.Connection) -> None:
    """Safe to repeat."""
    create_own_tables(connection, _metadata)


def is_dead_letter(migration: Migration) -> sa.ColumnElement[bool]:
    """True for a row whose current text was refused."""
    return sa.exists().where(*_is_refused_row(migration))


def add(migration: Migration, refused: Mapping[str, tuple[str, str]]) -> None:
    """Records (text, reason) by key; a row that was refused before gets the new ones.

    Raises DatabaseError.
    """
    if not refused:
        return
    rows = [
        {"migration": migration.id, "key": key, "digest": sa.func.md5(text), "reason": reason}
        for key, (text, reason) in refused.items()
    ]
    entry = insert(DEAD_LETTER).values(rows)
    update: dict[str, Any] = {name: entry.excluded[name] for name in ("digest", "reason")}
    update["at"] = sa.func.now()
    upsert = entry.on_conflict_do_update(index_elements=["migration", "key"], set_=update)
    with translate_errors("recording dead letters"), migration.engine.begin() as connection:
        connection.execute(upsert)


def list_all(migration: Migration) -> list[DeadLetter]:
    """Rows whose text is still the refused one, oldest first. Raises DatabaseError."""
    query = (
        migration.select(DEAD_LETTER.c.key, DEAD_LETTER.c.reason, DEAD_LETTER.c.at)
        .where(*_is_refused_row(migration))
        .order_by(DEAD_LETTER.c.at, DEAD_LETTER.c.key)
    )
    with translate_errors("listing dead letters"), migration.engine.connect() as connection:
        return [DeadLetter(*row) for row in connection.execute(query)]


def count_entries(connection: sa.Connection, migration: Migration) -> int:
    """Those of rows whose text has changed since, too; no row is read."""
    query = sa.select(sa.func.count()).where(DEAD_LETTER.c.migration == migration.id)
    return connection.scalar(query) or 0


def clear(migration: Migration) -> int:
    """Makes all dead letters pending again. Returns their number. Raises DatabaseError."""
    delete = sa.delete(DEAD_LETTER).where(DEAD_LETTER.c.migration == migration.id)
    with translate_errors("clearing dead letters"), migration.engine.begin() as connection:
        if not exist(connection):
            return 0
        keys = sa.select(DEAD_LETTER.c.migration, DEAD_LETTER.c.key, sa.cast("0", QUEUE.c.xid.type))
        keys = keys.where(DEAD_LETTER.c.migration == migration.id)
        connection.execute(sa.insert(QUEUE).from_select(["migration", "key", "xid"], keys))
        return connection.execute(delete).rowcount


def _is_refused_row(migration: Migration) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        DEAD_LETTER.c.migration == migration.id,
        DEAD_LETTER.c.key == migration.key_text,
        DEAD_LETTER.c.digest == sa.func.md5(migration.content),
    )
