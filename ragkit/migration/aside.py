"""The dead letters: rows that the model refused, each with its reason, until their text changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from ragkit.contract import SCHEMA
from ragkit.database import plain_errors
from ragkit.migration.subject import Migration

_metadata = sa.MetaData(schema=SCHEMA)
SET_ASIDE = sa.Table(
    "set_aside",
    _metadata,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", sa.Text, nullable=False),  # md5 of the text that was refused
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
)


@dataclass(frozen=True)
class SetAside:
    key: str
    reason: str
    at: datetime


def create(connection: sa.Connection) -> None:
    _metadata.create_all(connection)


def is_set_aside(migration: Migration) -> sa.ColumnElement[bool]:
    """True for a row whose text, as it is now, was refused."""
    return sa.exists().where(
        SET_ASIDE.c.migration == migration.id,
        SET_ASIDE.c.key == sa.cast(migration.key, sa.Text),
        SET_ASIDE.c.digest == sa.func.md5(migration.content),
    )


def put(migration: Migration, refused: Mapping[str, tuple[str, str]]) -> None:
    """Records rows by key: (text, reason). A row refused before gets the new text and reason."""
    if not refused:
        return
    rows = [
        {"migration": migration.id, "key": key, "digest": sa.func.md5(text), "reason": reason}
        for key, (text, reason) in refused.items()
    ]
    entry = insert(SET_ASIDE).values(rows)
    update = {name: entry.excluded[name] for name in ("digest", "reason")} | {"at": sa.func.now()}
    with plain_errors("setting rows aside"), migration.engine.begin() as connection:
        connection.execute(entry.on_conflict_do_update(index_elements=["migration", "key"],
                                                       set_=update))  # fmt: skip


def listed(migration: Migration) -> list[SetAside]:
    """Rows whose text is still the refused one, oldest first."""
    query = (
        sa.select(SET_ASIDE.c.key, SET_ASIDE.c.reason, SET_ASIDE.c.at)
        .select_from(migration.table)
        .where(
            SET_ASIDE.c.migration == migration.id,
            SET_ASIDE.c.key == sa.cast(migration.key, sa.Text),
            SET_ASIDE.c.digest == sa.func.md5(migration.content),
        )
        .order_by(SET_ASIDE.c.at, SET_ASIDE.c.key)
    )
    with plain_errors("listing rows set aside"), migration.engine.connect() as connection:
        return [SetAside(*row) for row in connection.execute(query)]


def forget(migration: Migration) -> int:
    """Makes them pending again, on request. Returns how many there were."""
    mine = sa.delete(SET_ASIDE).where(SET_ASIDE.c.migration == migration.id)
    with plain_errors("trying rows again"), migration.engine.begin() as connection:
        return connection.execute(mine).rowcount
