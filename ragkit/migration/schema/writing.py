"""The guarded write of a backfill: as that of a search, and what is missed goes into the queue.

A row that somebody else has locked is not waited for, its key is queued. A row whose text has
changed is in the queue already.
"""

from ragkit.database.identifiers import quote_identifier, quote_literal
from ragkit.migration.migration import Migration
from ragkit.migration.work.queue import LATER_SECONDS
from ragkit.migration.work.tables import queue_partition
from ragkit.retrieval.guarded_write import given_key, update_sql

# The xid of a key that comes back is 0: older than any other, so that no backfill is complete
# without it.
_MISSED = """, missed as (
    insert into {queue} (migration, key, xid, not_before)
    select {migration}, input.key, '0', clock_timestamp() + interval '{later} seconds'
    from input
    where input.key not in (select key from written) and exists (
        select from {table} as r
        where {is_row} and {content} = input.content and r.{column} is null)
)
select count(*), coalesce(bool_and(is_there), true) from written
"""


def write_sql(migration: Migration, also: str = "") -> str:
    """Of rows $1, $2, $3: arrays of keys and contents, as text, and of vectors. Answers how many
    were written, and whether they kept their vectors. `also` is a further part of the
    statement, which may read `written`."""
    terms, column = migration.terms, migration.plan.new.column
    content, where = terms.content.of("r"), terms.where.of("r") if terms.where else ""
    write = update_sql(migration.quoted_table, terms.key, content, column, where)
    given = [f"input.{name}" for name in given_key(terms.key)]
    missed = _MISSED.format(
        table=migration.quoted_table, is_row=terms.key.matches("r", given),
        content=content, column=quote_identifier(column),
        migration=quote_literal(migration.id), queue=queue_partition(migration.id),
        later=f"{LATER_SECONDS:d}",
    )  # fmt: skip
    return write + also + missed.rstrip()
