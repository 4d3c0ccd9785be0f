"""Expand: the new column beside the old one, and the trigger that keeps it honest."""

import hashlib

import sqlalchemy as sa

from ragkit import contract
from ragkit.database import plain_errors, quoted
from ragkit.migration import aside, ledger
from ragkit.migration.claims import stripes_for
from ragkit.migration.ddl import online
from ragkit.migration.subject import Migration
from ragkit.search import column_type

_CLEAR = """
create or replace function {function}() returns trigger language plpgsql as $body$
begin
    new.{column} := null;  -- the vector was made from the text before this write
    return new;
end $body$
"""
_TRIGGER = """
create or replace trigger {trigger} before update on {table} for each row
when (old.{content} is distinct from new.{content}
      and old.{column} is not distinct from new.{column})
execute function {function}()
"""


def expand(migration: Migration) -> bool:
    """Column, trigger, contract and ledger, all or nothing. False when it was done before.

    The old column and its data are not touched. Raises SpaceMismatch or DatabaseError.
    """
    with plain_errors("expand"):
        with migration.engine.connect() as connection:
            if ledger.phase(connection, migration.id) != ledger.PLANNED:
                return False
            rows = connection.scalar(sa.select(sa.func.count()).select_from(migration.table))
        stripes = stripes_for(rows, migration.plan.batch_size)
        online(migration, lambda connection: _expand(connection, migration, stripes))
    return True


def _expand(connection: sa.Connection, migration: Migration, stripes: int) -> None:
    names = _names(migration)
    run = connection.exec_driver_sql  # a colon in a name is no parameter
    run(f"create schema if not exists {quoted(contract.SCHEMA)}")
    contract.bind(connection, migration.old)
    contract.bind(connection, migration.new)
    ledger.create(connection)
    aside.create(connection)
    # The app's role reads the contract, and may be another one than ours.
    run(f"grant usage on schema {quoted(contract.SCHEMA)} to public")
    run(f"grant select on {quoted(contract.SCHEMA, contract.CONTRACT.name)} to public")
    run(
        f"alter table {names['table']} add column if not exists {names['column']} "
        f"{column_type(migration.new.space.dimension).get_col_spec()}"
    )
    run(_CLEAR.format(**names))
    run(_TRIGGER.format(**names))
    migration.record(connection, ledger.EXPANDED, space=migration.new.space.fingerprint)
    ledger.set_stripes(connection, migration.id, stripes)


def _names(migration: Migration) -> dict[str, str]:
    """Quoted SQL names. The trigger's begins with zz: triggers fire in the order of names, and
    this one must see what the others made of the text."""
    plan = migration.plan
    unique = hashlib.sha256(migration.id.encode()).hexdigest()[:8]
    return {
        "table": quoted(plan.table_schema, plan.table),
        "column": quoted(plan.new_column),
        "content": quoted(plan.content),
        "trigger": quoted(f"zz_ragkit_clear_{unique}"),
        "function": quoted(contract.SCHEMA, f"clear_{unique}"),
    }
