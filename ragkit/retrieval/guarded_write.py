"""The guarded write: a vector lands only beside the text it was made from.

SQL with $1, $2 and $3: arrays of keys as text, of what each vector was made from, and of vectors.
It needs no temporary table and no object of its own, and nothing outlives its transaction. Whoever
writes ends it with what they want to know of `written`.
"""

import hashlib
from collections.abc import Sequence

from ragkit.database.identifiers import quote_identifier
from ragkit.database.keys import Key
from ragkit.database.wire.arrays import TEXT_OID, UUID_OID, encode_array
from ragkit.retrieval.contract import regclass
from ragkit.retrieval.side_table import DIGEST, KEY, VECTOR, SideTable, digest_sql

LOCK_MS = 200
"""How long a write waits for a lock of the table, or of what its triggers write: less than the
second after which PostgreSQL looks for a deadlock, so that no application is its victim."""
SETTINGS = {
    "lock_timeout": f"{LOCK_MS}ms", "enable_seqscan": "off", "enable_hashjoin": "off",
    "enable_mergejoin": "off",
}  # fmt: skip
"""The planner is left the indexes, whatever it believes of a table that grew since it was analysed.
The lateral query keeps one search for each row: PostgreSQL does not flatten one that locks."""
SIDE_SETTINGS = {"lock_timeout": f"{LOCK_MS}ms"}
"""So long a write waits for another write of the same key."""

_UPDATE = """
with input as materialized (
    select i.key, {typed}, i.content, i.vector
    from unnest($1::text[], $2::text[], $3::vector[]) as i (key, content, vector)
), locked as materialized (
    select input.*, found.place
    from input cross join lateral (
        select r.ctid as place from {table} as r
        where {is_row} and {content} = input.content and r.{column} is null{condition}
        for no key update skip locked
    ) as found
), written as (
    update {table} as t set {column} = locked.vector from locked
    where t.ctid = locked.place and {is_place}
    returning locked.key, t.{column} is not null as is_there
)
"""
# A vector that is there gives way to that of the row's text only, if it is of another text: nobody
# finds nothing meanwhile.
_UPSERT = """
with written as (
    insert into {side} as s ({side_key}, {side_vector}, {side_digest})
    select key::{key_type}, vector, digest
    from unnest($1::text[], $2::uuid[], $3::vector[]) as i (key, digest, vector)
    on conflict ({side_key}) do update
    set {side_vector} = excluded.{side_vector}, {side_digest} = excluded.{side_digest}
    where (select {row_digest} from {table} as r where r.{key} = excluded.{side_key})
          = excluded.{side_digest}
      and s.{side_digest} <> excluded.{side_digest}
    returning s.{side_key}
)
"""


def encode_texts(texts: Sequence[str]) -> bytes:
    """An array for $1, or for $2 of `update_sql`."""
    return encode_array(TEXT_OID, [text.encode() for text in texts])


def encode_digests(texts: Sequence[str]) -> bytes:
    """The array for $2 of `upsert_sql`."""
    digests = (hashlib.md5(text.encode(), usedforsecurity=False) for text in texts)
    return encode_array(UUID_OID, [digest.digest() for digest in digests])


def update_sql(table: str, key: Key, content: str, column: str, where: str = "") -> str:
    """Rows of a table, by their texts. They are locked before they are changed; one that somebody
    else has locked is not waited for. `input` has `key`, the columns of `given_key` and `content`,
    `written` has `key`, as text, and `is_there`. `table` is SQL, as are `content` and `where`, of
    the row r."""
    names = given_key(key)
    typed = (f"{value} as {name}" for value, name in zip(key.typed("i.key"), names, strict=True))
    return _UPDATE.format(
        table=table, typed=", ".join(typed), content=content, column=quote_identifier(column),
        is_row=key.matches("r", [f"input.{name}" for name in names]),
        is_place=key.matches("t", [f"locked.{name}" for name in names]),
        condition=f" and {where}" if where else "",
    ).strip()  # fmt: skip


def given_key(key: Key) -> list[str]:
    """What `input` calls the columns of the key."""
    return [f"k{number}" for number in range(len(key.names))]


def upsert_sql(table: str, key_type: str, side: SideTable) -> str:
    """Rows of a side table, by the digests of their texts; nothing of the app's is locked. `table`
    and `key_type` are SQL."""
    return _UPSERT.format(
        table=table, key=quote_identifier(side.key), key_type=key_type,
        side=regclass(side.name), side_key=KEY, side_vector=VECTOR, side_digest=DIGEST,
        row_digest=digest_sql(f"r.{quote_identifier(side.content)}"),
    ).strip()  # fmt: skip
