"""The side table itself: made by expand, dropped when it was the old side and is retired."""

from collections.abc import Iterator

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.types import vector_type
from ragkit.migration.migration import Migration
from ragkit.migration.schema.privileges import readers
from ragkit.migration.schema.side_table.names import names_of

_TABLE = """
create table if not exists {side} (
    {side_key} {key_type} primary key, {side_vector} {vector_type} not null,
    {side_digest} uuid not null)
"""


def create_sql(connection: sa.Connection, migration: Migration) -> Iterator[str]:
    """Whoever may read the app's table may read its vectors. No foreign key: it would lock rows of
    the app."""
    yield create_table(migration)
    for role in readers(connection, migration.quoted_table):
        yield f"grant select on {names_of(migration)['side']} to {quote_identifier(role)}"


def create_table(migration: Migration) -> str:
    kind = vector_type(migration.new.space.dimension).get_col_spec()
    return " ".join(_TABLE.format(**names_of(migration), vector_type=kind).split())


def drop_table(migration: Migration) -> str:
    """The old one."""
    return f"drop table if exists {migration.reversed().new_place[0]}"
