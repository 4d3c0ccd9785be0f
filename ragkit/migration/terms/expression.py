"""A column, or an SQL expression over columns of one row."""

from dataclasses import dataclass

from ragkit.database.identifiers import quote_identifier


@dataclass(frozen=True)
class Expression:
    """`sql` names the columns that it `reads` without their row; `types` are theirs, as SQL. A
    plain column reads itself."""

    sql: str
    reads: tuple[str, ...]
    types: tuple[str, ...]
    result: str = "text"

    @classmethod
    def column(cls, name: str, kind: str) -> "Expression":
        return cls(quote_identifier(name), (name,), (kind,))

    @property
    def is_column(self) -> bool:
        return len(self.reads) == 1 and self.sql == quote_identifier(self.reads[0])

    def of(self, row: str) -> str:
        """Of a row that SQL knows as `row`."""
        columns = ", ".join(f"{row}.{quote_identifier(name)}" for name in self.reads)
        return columns if self.is_column else f"(select {self.sql} from (select {columns}) as q)"

    def called(self, function: str, row: str) -> str:
        """As `of`, by a function that `function_sql` has made: also where no query may stand, as in
        the condition of a trigger."""
        columns = ", ".join(f"{row}.{quote_identifier(name)}" for name in self.reads)
        return columns if self.is_column else f"{function}({columns})"

    def function_sql(self, function: str) -> list[str]:
        """Makes the function, whose name is SQL; nothing for a column."""
        if self.is_column:
            return []
        names = map(quote_identifier, self.reads)
        parameters = ", ".join(f"{n} {t}" for n, t in zip(names, self.types, strict=True))
        return [
            f"create or replace function {function}({parameters}) returns {self.result} "
            f"language sql immutable parallel safe return ({self.sql})"
        ]
