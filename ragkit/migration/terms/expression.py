"""A column, or an SQL expression over columns of one row."""

from collections.abc import Sequence
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

    def called(self, function: str, row: str, names: Sequence[str] = ()) -> str:
        """As `of`, by a function that `function_sql` has made: also where no query may stand, as in
        the condition of a trigger. `names` are SQL for the columns, where they have others."""
        names = names or [quote_identifier(name) for name in self.reads]
        columns = ", ".join(f"{row}.{name}" for name in names)
        return columns if self.is_column else f"{function}({columns})"

    def function_sql(self, function: str, strict: str) -> list[str]:
        """Makes the function, whose name is SQL; nothing for a column. It is NULL where the
        expression fails, as a cast may, so that no write of the app fails by it; `strict` is a
        function for the expression alone. Any role may write, and so calls them."""
        if self.is_column:
            return []
        names, types = map(quote_identifier, self.reads), ", ".join(self.types)
        parameters = ", ".join(f"{n} {t}" for n, t in zip(names, self.types, strict=True))
        places = ", ".join(f"${place}" for place in range(1, len(self.reads) + 1))
        return [
            f"create or replace function {strict}({parameters}) returns {self.result} "
            f"language sql immutable parallel safe return ({self.sql})",
            f"create or replace function {function}({types}) returns {self.result} language "
            f"plpgsql immutable as 'begin return {strict}({places}); "
            "exception when others then return null; end'",
            *(f"grant execute on function {name} to public" for name in (strict, function)),
        ]
