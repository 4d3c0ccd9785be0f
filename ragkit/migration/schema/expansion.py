"""Expand: the new column beside the old one, with its triggers, contract and ledger."""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.translate import translate_errors
from ragkit.database.types import vector_type
from ragkit.migration import ledger, phases
from ragkit.migration.backfill.stripes import stripe_count
from ragkit.migration.migration import Migration
from ragkit.migration.progress import dead_letters
from ragkit.migration.schema.online_ddl import run_online
from ragkit.migration.schema.triggers import add_triggers
from ragkit.retrieval import contract


def expand(migration: Migration) -> bool:
    """Column, triggers, contract and ledger in one short transaction; the old column is not
    changed. Returns False when it was done before.

    Raises SpaceMismatch or DatabaseError.
    """
    with translate_errors("expand"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, migration.id) != phases.PLANNED:
                return False
            rows = connection.scalar(migration.select(sa.func.count())) or 0
        stripes = stripe_count(rows, migration.plan.backfill.batch_size)
        run_online(migration, lambda connection: _expand(connection, migration, stripes))
    return True


def _expand(connection: sa.Connection, migration: Migration, stripes: int) -> None:
    run = connection.exec_driver_sql  # in sa.text, a colon in a name would be a parameter
    schema = quote_identifier(contract.SCHEMA)
    run(f"create schema if not exists {schema}")
    contract.bind(connection, migration.old)
    contract.bind(connection, migration.new)
    ledger.create_tables(connection)
    dead_letters.create_table(connection)
    # The app reads the contract, perhaps as another role.
    run(f"grant usage on schema {schema} to public")
    run(f"grant select on {schema}.{quote_identifier(contract.CONTRACT.name)} to public")
    run(
        f"alter table {migration.quoted_table} "
        f"add column if not exists {quote_identifier(migration.plan.new.column)} "
        f"{vector_type(migration.new.space.dimension).get_col_spec()}"
    )
    add_triggers(connection, migration)
    fingerprint = migration.new.space.fingerprint
    ledger.record(connection, migration.id, phases.EXPANDED, space=fingerprint)
    ledger.set_stripes(connection, migration.id, stripes)


def keep_old_column_current(migration: Migration) -> None:
    """After the cut-over, a changed text clears the old vector too, so that `follow` fills it
    again; a NOT NULL of the old column is dropped for that. Safe to repeat.

    Raises DatabaseError.
    """
    back = migration.reversed()
    with translate_errors("keeping the old column current"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, back.id) != phases.PLANNED:
                return
            stripes = ledger.stripes(connection, migration.id)
        run_online(migration, lambda connection: _watch_old_column(connection, back, stripes))


def _watch_old_column(connection: sa.Connection, back: Migration, stripes: int) -> None:
    column = quote_identifier(back.plan.new.column)
    connection.exec_driver_sql(
        f"alter table {back.quoted_table} alter column {column} drop not null"
    )
    add_triggers(connection, back)
    ledger.record(connection, back.id, phases.EXPANDED, after="the cut-over")
    ledger.set_stripes(connection, back.id, stripes)
