"""The terms of a migration, as they are in the database."""

from dataclasses import dataclass

from ragkit.database.keys import Key
from ragkit.migration.terms.expression import Expression


@dataclass(frozen=True)
class Terms:
    """Of a row: its key, its text, and the condition under which it is migrated; None for every
    row."""

    key: Key
    content: Expression
    where: Expression | None = None

    @property
    def is_plain(self) -> bool:
        """A key and a text that are a column each, and every row."""
        return len(self.key.names) == 1 and self.content.is_column and self.where is None
