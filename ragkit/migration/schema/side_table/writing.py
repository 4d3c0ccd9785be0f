"""How vectors get into a side table: they are written into it, and then looked at.

A vector counts only beside the text of its digest, so that nothing of the app's is locked. What is
left to do is to take away those that do not fit: of rows that were changed or deleted meanwhile.
"""

from ragkit.migration.migration import Migration
from ragkit.migration.schema.side_table.names import names_of
from ragkit.retrieval.guarded_write import upsert_sql
from ragkit.retrieval.side_table import digest_sql

# By subqueries, so that both tables are read by their keys. A row that somebody has locked is left
# to them.
_TIDY = """
with unfit as (
    delete from {side} where {side_key} = any (array(
        select s.{side_key} from {side} as s
        where s.{side_key} = any (
                  array(select json_array_elements_text($1::text::json))::{key_type}[])
          and (select {row_digest} from {table} as r where r.{key} = s.{side_key})
              is distinct from s.{side_digest}
        for update skip locked))
    returning {side_key} as key
), again as (
    insert into {queue} (migration, key, xid, not_before)
    select {migration}, key::text, '0', clock_timestamp() + interval '{later} seconds' from unfit
    where exists (select from {table} as r where r.{key} = unfit.key)
)
select count(*) from unfit
"""


def write_sql(migration: Migration, also: str = "") -> str:
    """Of rows $1, $2, $3: arrays of keys as text, of digests and of vectors. Answers how many were
    written, and true. `also` is a further part of the statement, which may read `written`."""
    side = migration.new_side
    assert side is not None
    write = upsert_sql(migration.quoted_table, migration.key_type, side)
    return f"{write}{also}\nselect count(*), true from written"


def tidy_sql(migration: Migration) -> str:
    """Of the keys $1, a JSON array of texts, takes away the vectors that are not those of their
    rows' texts, and queues the rows. Answers how many."""
    return _TIDY.format(**_names(migration))


def _names(migration: Migration) -> dict[str, str]:
    names = names_of(migration)
    return {**names, "row_digest": digest_sql(f"r.{names['content']}")}
