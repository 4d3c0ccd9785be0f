"""Tables of ragkit's own schema, which several processes may make at the same time."""

import sqlalchemy as sa

_LOCK = sa.text("select pg_advisory_xact_lock(hashtextextended('ragkit tables', 0))")


def create_own_tables(connection: sa.Connection, metadata: sa.MetaData) -> None:
    """Those that are missing, in the caller's transaction. Safe to repeat, also at once, which
    CREATE TABLE IF NOT EXISTS is not: it may end with a duplicate key in pg_type."""
    names = [f"{table.schema}.{table.name}" for table in metadata.sorted_tables]
    found = [sa.func.to_regclass(name).is_not(None) for name in names]
    if not all(connection.execute(sa.select(*found)).one()):
        connection.execute(_LOCK)
        metadata.create_all(connection)
