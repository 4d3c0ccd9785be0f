"""A text that is in a column of another table, such as that of a chunk's document."""

from dataclasses import dataclass

from ragkit.database.identifiers import quote_identifier

ROW = "q"
"""What a guarded write calls the row of the other table."""


@dataclass(frozen=True)
class Lookup:
    """As an Expression. `table` is SQL; its `column` holds the text of the row whose `key` is the
    column `by` of the migrated table."""

    table: str
    column: str
    key: str
    by: str

    is_column = False

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of the migrated table."""
        return (self.by,)

    def of(self, row: str) -> str:
        return f"(select {self.found} from {self.joined(row)})"

    def called(self, function: str, row: str) -> str:
        """Of the migrated row, only this decides about its text."""
        return f"{row}.{quote_identifier(self.by)}"

    def function_sql(self, function: str, strict: str) -> list[str]:
        return []

    @property
    def found(self) -> str:
        """The text, of the row ROW."""
        return f"{ROW}.{quote_identifier(self.column)}"

    def joined(self, row: str) -> str:
        """The other table, with the one row that belongs to `row`."""
        return (
            f"{self.table} as {ROW} where {ROW}.{quote_identifier(self.key)} = "
            f"{row}.{quote_identifier(self.by)}"
        )
