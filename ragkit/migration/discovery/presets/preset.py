"""What is known of the tables of one framework, or of one version of it."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

Way = Literal["column", "view", "swap"]
"""How an app is cut over: it chooses another column, or another schema, or nothing at all."""


@dataclass(frozen=True)
class Preset:
    """A table is known by its `columns` with their `types`, by the start of its name
    (`table`) and by a relation or function of the database (`sign`); an empty one asks for nothing.

    Its text is the column `content`, or what the JSON column `json` holds under one of `keys`; the
    column `collections` says of which collection a row is. The app is cut over by `way`; `lines`
    are what changes of it beside the model, with {schema}, {column} and {dimension} to fill in;
    `by_schema`: it names the schema, and does not find it by its search_path. `remark` is what one
    must know. `refused` says why such a table is not migrated, and what to do.
    """

    name: str
    columns: frozenset[str]
    way: Way
    lines: tuple[str, ...]
    content: str = ""
    json: str = ""
    keys: tuple[str, ...] = ()
    types: Mapping[str, Collection[str]] = field(default_factory=dict)
    table: str = ""
    sign: str = ""
    collections: str = ""
    by_schema: bool = False
    remark: str = ""
    refused: str = ""

    def fits(self, table: str, types: Mapping[str, str], signs: Collection[str]) -> bool:
        """Whether a table is one of these; `types` are PostgreSQL's, by column."""
        return (
            self.columns <= types.keys()
            and all(types.get(name) in known for name, known in self.types.items())
            and table.startswith(self.table)
            and (not self.sign or self.sign in signs)
        )

    @property
    def expressions(self) -> list[str]:
        """SQL of the texts that the JSON column may hold, the likeliest first."""
        return [f"({self.json}->>'{key}')" for key in self.keys]
