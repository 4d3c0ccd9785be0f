"""The view that vectors are copied into: its trigger writes each beside the text it was made from.

COPY into a view with an INSTEAD OF trigger needs no temporary table, so that nothing outlives a
transaction, and each row is found by the key's index, so that the planner has no choice. A row
that somebody else has locked is not waited for: its key goes into the queue. A row whose text has
changed is in the queue already. A notice tells of each. See the PostgreSQL manual, "COPY".
"""

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.partitions.tree import is_partitioned
from ragkit.migration.schema.consistency import short_name
from ragkit.migration.schema.side_table import writing as beside
from ragkit.migration.work.queue import LATER_SECONDS
from ragkit.migration.work.tables import QUEUE
from ragkit.retrieval.contract import SCHEMA

LOCK_MS = 200
"""How long a write waits for a lock of the table, or of what its triggers write: less than the
second after which PostgreSQL looks for a deadlock, so that no application is its victim."""

_VIEW = """
create or replace view {view} as
select null::text as key, null::text as content, null::vector as vector where false
"""
# The row is locked first, so that it is never waited for. The xid of a key that comes back is 0:
# older than any other, so that no backfill is complete without it.
_WRITE = """
create or replace function {function}() returns trigger language plpgsql as ${tag}$
declare
    is_there boolean;
begin
    update {table} as t set {column} = new.vector
    where {in_partition}t.ctid = (
        select r.ctid from {table} as r
        where r.{key} = new.key::{key_type} and r.{content} = new.content and r.{column} is null
        for no key update skip locked)
    returning t.{column} is not null into is_there;
    if is_there then
        return new;
    elsif not is_there then
        raise 'a trigger of the table removes the vectors of %; change it so that it leaves them',
            {name};
    end if;
    insert into {queue} (migration, key, xid, not_before)
    select {migration}, new.key, '0', clock_timestamp() + interval '{later} seconds'
    from {table} as r
    where r.{key} = new.key::{key_type} and r.{content} = new.content and r.{column} is null;
    raise notice 'not written';
    return null;
end ${tag}$
"""
# Partitions have the same ctids: the key tells of which one, and lets PostgreSQL read that alone.
_IN_PARTITION = "t.{key} = new.key::{key_type} and "
_TRIGGER = """
create or replace trigger write instead of insert on {view}
for each row execute function {function}()
"""


def create_sql(connection: sa.Connection, migration: Migration) -> list[str]:
    if migration.new_side:
        return beside.create_sql(migration)
    names = _names(migration)
    by_key = is_partitioned(connection, migration.quoted_table)
    names["in_partition"] = _IN_PARTITION.format(**names) if by_key else ""
    return [part.format(**names).strip() for part in (_VIEW, _WRITE, _TRIGGER)]


def drop_sql(migration: Migration) -> list[str]:
    names = _names(migration)
    return [
        f"drop view if exists {names['view']}",
        f"drop function if exists {names['function']}()",
    ]


def copy_sql(migration: Migration) -> str:
    """Takes rows (key, content, vector), each in its binary form. Two statements, which the simple
    protocol runs in one transaction."""
    view = _names(migration)["view"]
    return f"set local lock_timeout = {LOCK_MS:d}; copy {view} from stdin with (format binary)"


def _names(migration: Migration) -> dict[str, str]:
    """SQL names, quoted."""
    plan, own = migration.plan, short_name("write", migration.id)
    return {
        "tag": own,
        "view": quote_identifier(SCHEMA, own),
        "function": quote_identifier(SCHEMA, own),
        "table": migration.quoted_table,
        "key": quote_identifier(plan.table.key),
        "key_type": migration.key_type,
        "content": quote_identifier(plan.table.content),
        "column": quote_identifier(plan.new.column),
        "name": quote_literal(plan.new.column),
        "migration": quote_literal(migration.id),
        "queue": f"{SCHEMA}.{QUEUE.name}",
        "later": f"{LATER_SECONDS:d}",
    }
