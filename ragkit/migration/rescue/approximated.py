"""Which old vectors the bridge made, and not the old model: a mark for each, and the ledger's event
that names their bridge.

A mark counts as long as the vector is there that it was set for, by its digest. So nothing has to
be undone when a text changes, a row goes, or the old model fills it after all.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from ragkit.database.own_tables import create_own_tables
from ragkit.database.types import CatalogType
from ragkit.migration import ledger
from ragkit.migration.migration import Migration
from ragkit.retrieval.contract import SCHEMA
from ragkit.retrieval.rescue.plan import RescuePlan

KIND = "approximated"
"""The ledger's event: one for each bridge into a column."""
MAX_COUNTED = 10_000
"""More marks are not counted."""

MARK = sa.Table(
    "approximated",
    sa.MetaData(schema=SCHEMA),
    sa.Column("event", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("digest", CatalogType("uuid"), nullable=False),  # md5 of the vector as text
)
_TYPE = sa.text("""
    select format_type(atttypid, null) from pg_attribute
    where attrelid = to_regclass(:table) and attname = :column and not attisdropped
""")
# Of the rows that a guarded write has written, by its own parameters.
_MARK = """, marked as (
    insert into {mark} (event, key, digest)
    select {event}, i.key, md5(i.vector::{kind}::text)::uuid
    from written as w join unnest($1::text[], $3::vector[]) as i (key, vector)
      on i.key = w.key::text
    on conflict (event, key) do update set digest = excluded.digest
)"""


def open_event(
    connection: sa.Connection, migration: Migration, plan: RescuePlan, method: str
) -> int:
    """The event of the plan's bridge, recorded when it is the first time, in the caller's
    transaction."""
    create_own_tables(connection, MARK.metadata)
    if events := find_events(connection, migration, plan.bridge):
        return events[-1]
    names = {"table": migration.plan.table.qualified_name, "column": migration.plan.old.column}
    ledger.record(
        connection, migration.id, KIND, **names, bridge=plan.bridge, method=method,
        marks=MARK.fullname,
    )  # fmt: skip
    return find_events(connection, migration, plan.bridge)[-1]


def find_events(connection: sa.Connection, migration: Migration, bridge: str = "") -> list[int]:
    """Those of the old column, by this or an earlier migration; only those of `bridge`, a checksum,
    if it is given. Oldest first."""
    if not ledger.exists(connection):
        return []
    event, detail = ledger.EVENT.c, ledger.EVENT.c.detail
    is_of_column = (
        event.kind == KIND,
        detail["table"].as_string() == migration.plan.table.qualified_name,
        detail["column"].as_string() == migration.plan.old.column,
    )
    query = sa.select(event.id).where(*is_of_column).order_by(event.id)
    if bridge:
        query = query.where(detail["bridge"].as_string() == bridge)
    return list(connection.scalars(query))


def is_marked(
    events: Sequence[int], key: sa.ColumnElement[str], vector: sa.ColumnElement[Any]
) -> sa.ColumnElement[bool]:
    """Whether the `vector` of the row with this key, as text, was made by a bridge; `events` are
    those of find_events. False for NULL.

    An aggregate, which PostgreSQL makes no join of: that would need the digest of every vector.
    """
    if not events:
        return sa.false()
    digest = sa.cast(sa.func.md5(sa.cast(vector, sa.Text)), MARK.c.digest.type)
    found = sa.select(sa.func.bool_or(MARK.c.digest == digest))
    found = found.where(MARK.c.event.in_(events), MARK.c.key == key)
    return sa.func.coalesce(found.scalar_subquery(), sa.false())


def mark_sql(connection: sa.Connection, back: Migration, event: int) -> str:
    """What a guarded write of the way `back` adds, so that no vector is there without its mark."""
    place, column = back.new_place
    kind = connection.scalar(_TYPE, {"table": place, "column": column})
    return _MARK.format(mark=MARK, event=f"{event:d}", kind=kind)


def count_marks(connection: sa.Connection, migration: Migration) -> int | None:
    """MAX_COUNTED + 1 for any more, also those that count no more; None when no bridge was ever
    used."""
    if not (events := find_events(connection, migration)):
        return None
    some = sa.select(MARK.c.key).where(MARK.c.event.in_(events)).limit(MAX_COUNTED + 1).subquery()
    return connection.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def remove_marks(connection: sa.Connection, migration: Migration) -> None:
    """Those of the old column, in the caller's transaction; the events stay."""
    if events := find_events(connection, migration):
        connection.execute(sa.delete(MARK).where(MARK.c.event.in_(events)))
