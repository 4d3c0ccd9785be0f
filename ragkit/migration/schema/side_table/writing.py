"""How vectors get into a side table: they are copied into it, and then looked at.

A vector counts only beside the text of its digest, so that nothing of the app's is locked. What is
left to do is to take away those that do not fit: of rows that were changed or deleted meanwhile.
"""

from ragkit.migration.migration import Migration
from ragkit.migration.schema.side_table.names import names_of
from ragkit.retrieval.side_table import digest_sql

LOCK_MS = 200
"""How long a write waits for another write of the same key."""

# For keys that the side table has, or whose binary form is not known: each in its text form.
_VIEW = """
create or replace view {view} as
select null::text as key, null::uuid as digest, null::vector as vector where false
"""
_WRITE = """
create or replace function {function}() returns trigger language plpgsql as ${tag}$
begin
    insert into {side} as s ({side_key}, {side_vector}, {side_digest})
    select r.{key}, new.vector, new.digest from {table} as r
    where r.{key} = new.key::{key_type} and {row_digest} = new.digest
    on conflict ({side_key}) do update
    set {side_vector} = excluded.{side_vector}, {side_digest} = excluded.{side_digest};
    if found then
        return new;
    end if;
    raise notice 'not written';
    return null;
end ${tag}$
"""
_TRIGGER = """
create or replace trigger write instead of insert on {view}
for each row execute function {function}()
"""
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


def create_sql(migration: Migration) -> list[str]:
    names = _names(migration)
    return [part.format(**names).strip() for part in (_VIEW, _WRITE, _TRIGGER)]


def copy_sql(migration: Migration) -> str:
    """Takes rows (key, digest, vector), each in its binary form; fails for a key that is there."""
    names = _names(migration)
    columns = "{side_key}, {side_digest}, {side_vector}".format(**names)
    return _copy(f"{names['side']} ({columns})")


def replace_sql(migration: Migration) -> str:
    """As copy_sql, for keys as text that may be there."""
    return _copy(_names(migration)["view"])


def tidy_sql(migration: Migration) -> str:
    """Of the keys $1, a JSON array of texts, takes away the vectors that are not those of their
    rows' texts, and queues the rows. Answers how many."""
    return _TIDY.format(**_names(migration))


def _copy(target: str) -> str:
    """Two statements, which the simple protocol runs in one transaction."""
    return f"set local lock_timeout = {LOCK_MS:d}; copy {target} from stdin with (format binary)"


def _names(migration: Migration) -> dict[str, str]:
    names = names_of(migration)
    return {**names, "row_digest": digest_sql(f"r.{names['content']}")}
