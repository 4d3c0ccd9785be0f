"""The tables of the work that is left, in ragkit's own schema."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.database.own_tables import create_own_tables
from ragkit.database.types import CatalogType
from ragkit.migration.schema.consistency import short_name
from ragkit.retrieval.contract import SCHEMA

METADATA = sa.MetaData(schema=SCHEMA)
_time = sa.DateTime(timezone=True)

WORKER = sa.Table(  # a process at work, until its row expires
    "worker",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("since", _time, nullable=False, server_default=sa.func.now()),
    sa.Column("until", _time, nullable=False),
)
LEASE = sa.Table(  # a step that must not run beside another
    "lease",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("worker", sa.Text, nullable=False),
)
SWEEP = sa.Table(  # how far a leaf of a table has been walked, by heap blocks
    "sweep",
    METADATA,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("relation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("filenode", sa.BigInteger, nullable=False),
    sa.Column("blocks", sa.BigInteger, nullable=False),
    sa.Column("next_block", sa.BigInteger, nullable=False, server_default="0"),
)
CLAIM = sa.Table(  # a range of blocks that a worker is busy with
    "claim",
    METADATA,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("relation", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("first_block", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("end_block", sa.BigInteger, nullable=False),
    sa.Column("worker", sa.Text, nullable=False),
    sa.ForeignKeyConstraint(
        ["migration", "relation"], [SWEEP.c.migration, SWEEP.c.relation], ondelete="cascade"
    ),
)
QUEUE = sa.Table(  # keys of rows that were written and have no vector, a partition a migration
    "queue",
    METADATA,
    sa.Column("migration", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),
    sa.Column(
        "xid", CatalogType("xid8"), nullable=False,
        server_default=sa.text("pg_current_xact_id()"),
    ),
    sa.Column("at", _time, nullable=False, server_default=sa.func.now()),
    sa.Column("not_before", _time),
    sa.Column("worker", sa.Text),
    postgresql_partition_by="LIST (migration)",
)  # fmt: skip
BATCH_JOB = sa.Table(  # rows that a provider's batch API embeds, or will
    "batch_job",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("migration", sa.Text, nullable=False),
    sa.Column("model", sa.Text, nullable=False),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("remote", sa.Text),  # the provider's id
    sa.Column("keys", sa.JSON(none_as_null=True)),  # of its rows, until it has ended
    sa.Column("digests", sa.JSON(none_as_null=True)),  # of their texts, as they were sent
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("tokens", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("usd", sa.Float, nullable=False, server_default="0"),  # an estimate until it ends
    sa.Column("attempt", sa.Integer, nullable=False, server_default="0"),  # part of its label
    sa.Column("failures", sa.Integer, nullable=False, server_default="0"),  # of its rows in a row
    sa.Column("reason", sa.Text, nullable=False, server_default=""),
    sa.Column("worker", sa.Text),
    sa.Column("created_at", _time, nullable=False, server_default=sa.func.now()),
    sa.Column("submitted_at", _time),
    sa.Column("looked_at", _time),
    sa.Column("ended_at", _time),
)
CONTROL = sa.Table(  # what people set while a migration runs
    "control",
    METADATA,
    sa.Column("migration", sa.Text, primary_key=True),
    sa.Column("paused", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("pace", sa.Float, nullable=False, server_default="1"),
    sa.Column("in_flight", sa.Integer),
    sa.Column("window", sa.Text, nullable=False, server_default=""),
    sa.Column("postponed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("stopped_at", _time),
    sa.Column("by", sa.Text, nullable=False),
    sa.Column("at", _time, nullable=False),
)


def queue_partition(migration_id: str) -> str:
    """The part of the queue that a migration has for itself, as SQL."""
    return quote_identifier(SCHEMA, short_name(QUEUE.name, migration_id))


def create_partition_sql(migration_id: str) -> str:
    return (
        f"create table if not exists {queue_partition(migration_id)} "
        f"partition of {SCHEMA}.{QUEUE.name} for values in ({quote_literal(migration_id)})"
    )


def drop_partition_sql(migration_id: str) -> str:
    return f"drop table if exists {queue_partition(migration_id)}"


def create_tables(connection: sa.Connection) -> None:
    """Safe to repeat."""
    create_own_tables(connection, METADATA)


def exist(connection: sa.Connection) -> bool:
    """Whether this database has them."""
    found = sa.select(sa.func.to_regclass(f"{SCHEMA}.{LEASE.name}"))
    return connection.scalar(found) is not None
