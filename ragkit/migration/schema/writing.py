"""The guarded write as one statement: each vector lands beside the text it was made from.

It needs no temporary table and no object of its own, and nothing outlives its transaction. Rows are
locked before they are changed: one that somebody else has locked is not waited for, its key goes
into the queue. A row whose text has changed is in the queue already.
"""

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.work.queue import LATER_SECONDS
from ragkit.migration.work.tables import queue_partition

LOCK_MS = 200
"""How long a write waits for a lock of the table, or of what its triggers write: less than the
second after which PostgreSQL looks for a deadlock, so that no application is its victim."""
SETTINGS = {
    "lock_timeout": f"{LOCK_MS}ms", "enable_seqscan": "off", "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}  # fmt: skip
"""The planner is left the indexes, whatever it believes of a table that grew since it was analysed.
The lateral query keeps one search for each row: PostgreSQL does not flatten one that locks."""

# The xid of a key that comes back is 0: older than any other, so that no backfill is complete
# without it.
_WRITE = """
with input as materialized (
    select key::{key_type} as key, content, vector
    from unnest($1::text[], $2::text[], $3::vector[]) as i (key, content, vector)
), locked as materialized (
    select input.key, input.vector, found.place
    from input cross join lateral (
        select r.ctid as place from {table} as r
        where r.{key} = input.key and r.{content} = input.content and r.{column} is null
        for no key update skip locked
    ) as found
), written as (
    update {table} as t set {column} = locked.vector from locked
    where t.ctid = locked.place and t.{key} = locked.key
    returning locked.key, t.{column} is not null as is_there
), missed as (
    insert into {queue} (migration, key, xid, not_before)
    select {migration}, input.key::text, '0', clock_timestamp() + interval '{later} seconds'
    from input
    where input.key not in (select key from written) and exists (
        select from {table} as r
        where r.{key} = input.key and r.{content} = input.content and r.{column} is null)
)
select count(*), coalesce(bool_and(is_there), true) from written
"""


def write_sql(migration: Migration) -> str:
    """Of rows $1, $2, $3: arrays of keys and contents, as text, and of vectors. Answers how many
    were written, and whether they kept their vectors."""
    table = migration.plan.table
    names = {
        "table": migration.quoted_table,
        "key": quote_identifier(table.key),
        "key_type": migration.key_type,
        "content": quote_identifier(table.content),
        "column": quote_identifier(migration.plan.new.column),
        "migration": quote_literal(migration.id),
        "queue": queue_partition(migration.id),
        "later": f"{LATER_SECONDS:d}",
    }
    return _WRITE.format(**names).strip()
