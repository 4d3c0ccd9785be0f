"""Keys of one or several columns, and their text form, by which rows are known outside of the
database: the value of a single column, or an array of texts as PostgreSQL writes it, as in
`{7,de}`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sqlalchemy as sa

from ragkit.database.identifiers import quote_identifier
from ragkit.database.types import text_array

_PLAIN = {
    "smallint", "integer", "bigint", "numeric", "uuid", "text", "character varying", "character",
}  # fmt: skip
"""Types whose text form no setting of a session changes."""


@dataclass(frozen=True)
class Key:
    """`types` are SQL, one for each of the columns `names`."""

    names: tuple[str, ...]
    types: tuple[str, ...]

    @cached_property
    def quoted(self) -> list[str]:
        return [quote_identifier(name) for name in self.names]

    @property
    def settings(self) -> str:
        """Of a function that writes the text form in a session of the app's, which may write a
        date in its own way."""
        if all(kind.partition("(")[0] in _PLAIN for kind in self.types):
            return ""
        return " set datestyle = 'ISO' set extra_float_digits = 1"

    def text_of(self, row: str, names: Sequence[str] = ()) -> str:
        """The text form, as SQL, of the key of a row that SQL knows as `row`. `names` are SQL for
        its columns, where they have others."""
        texts = [f"{row}.{name}::text" for name in names or self.quoted]
        return texts[0] if len(texts) == 1 else f"array[{', '.join(texts)}]::text"

    def typed(self, text: str) -> list[str]:
        """The columns' values as SQL, of a text form as SQL."""
        if len(self.names) == 1:
            return [f"{text}::{self.types[0]}"]
        return [f"({text}::text[])[{n}]::{kind}" for n, kind in enumerate(self.types, 1)]

    def matches(self, row: str, values: Sequence[str]) -> str:
        """The condition that `row` has this key, as SQL."""
        pairs = zip(self.quoted, values, strict=True)
        return " and ".join(f"{row}.{name} = {value}" for name, value in pairs)

    def is_one_of(
        self, columns: Sequence[sa.ColumnElement[Any]], texts: Sequence[str]
    ) -> sa.ColumnElement[bool]:
        """Whether a row, of which these are the key's columns, has one of these keys; the index of
        the key is used."""
        if len(columns) == 1:
            return columns[0] == sa.any_(text_array(texts, self.types[0]))
        given = sa.func.unnest(text_array(texts, "text")).column_valued("texts")
        return self.is_in(columns, sa.select(given.label("key")).subquery("given"))

    def is_in(
        self, columns: Sequence[sa.ColumnElement[Any]], given: sa.Subquery
    ) -> sa.ColumnElement[bool]:
        """As is_one_of, for the text forms in the column `key` of a query that has a name."""
        typed: list[sa.ColumnElement[Any]] = [
            sa.literal_column(value) for value in self.typed(f"{quote_identifier(given.name)}.key")
        ]
        keys = sa.select(*typed).select_from(given)
        return sa.tuple_(*columns).in_(keys) if len(columns) > 1 else columns[0].in_(keys)
