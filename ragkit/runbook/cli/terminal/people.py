"""What both forms for people share: tables and checks, drawn by rich into a console."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from ragkit.report import words
from ragkit.report.words import clean
from ragkit.runbook.cli.terminal.errors import print_fault

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NUMBER = re.compile(r"[-+<$\d., ]+( ?(%|ms|s|min|Bytes?|[kMGT]B))?|–")


class People:
    """Prints at once."""

    def __init__(self, console: Console):
        self.console = console

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        self._print(f"table {clean(name)}", "bold underline")
        yield

    def line(self, text: object, name: str = "") -> None:
        self._print(clean(str(text)))

    def lines(self, name: str, texts: Iterable[str]) -> None:
        for text in texts:
            self.line(text)

    def faults(self, name: str, texts: Sequence[str]) -> None:
        for text in texts:
            print_fault(text)

    def fact(self, name: str, value: object) -> None:
        self.line(f"{words.title(name)}: {words.value(name, value)}")

    def _print(self, text: str, style: str = "") -> None:
        """Lines of any length: the terminal wraps them, so that a command can be copied."""
        self.console.print(Text(text, style), soft_wrap=True)


def cells(item: "DataclassInstance") -> dict[str, str]:
    """The facts, each in one line."""
    return {name: clean(" ".join(text.split())) for name, text in words.facts(item).items()}


def draw_table(rows: Sequence[Mapping[str, str]], table: Table) -> Table:
    """`table` with a column for each title; numbers are to the right."""
    for name in rows[0]:
        column = [row[name] for row in rows]
        is_number = all(NUMBER.fullmatch(cell) for cell in column)
        table.add_column(
            Text(name),
            justify="right" if is_number else "left",
            overflow="fold",
            min_width=max(map(len, column)) if is_number else None,
        )
    for row in rows:
        table.add_row(*map(Text, row.values()))
    return table


def without_trailing_spaces(console: Console, item: RenderableType) -> str:
    with console.capture() as captured:
        console.print(item)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())
