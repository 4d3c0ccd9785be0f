"""A side table: the vectors of a space by the keys of the app's rows, apart from the app's table.

Each vector has the digest of the text that it was made from, and counts only beside that text. So
no write of the app has to be waited for, or has to wait, for a vector to be right.
"""

from dataclasses import dataclass

KEY, VECTOR, DIGEST = "key", "vector", "digest"
"""The columns of every side table."""


@dataclass(frozen=True)
class SideTable:
    """`name` is "schema.table"; `key` and `content` are columns of the app's table."""

    name: str
    key: str
    content: str


def digest_sql(content: str) -> str:
    """The digest of a text, given as SQL, whatever the encoding of the database: its MD5 as a uuid,
    which takes 16 bytes."""
    return f"md5(convert_to({content}, 'UTF8'))::uuid"
