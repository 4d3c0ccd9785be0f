"""In a terminal: tables in its width, colours, and one live line that is redrawn in place."""

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.measure import Measurement
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from ragkit.deploy.canary.decision import CanaryLook
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.report import words
from ragkit.report.words import clean
from ragkit.runbook.cli.terminal.people import People, cells, draw_table

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

MARKS = {
    words.OK: ("✓", "green"), words.PROBLEM: ("✗", "bold red"),
    words.WARNING: ("!", "yellow"), words.NOTE: ("–", "dim"),
}  # fmt: skip
BAR = (10, 30)
"""The width of a bar: at least, at most."""
REFRESHES = 8
"""Of the live line, each second."""
SILENT_SECONDS = 5.0
"""After them a backfill's line says for how long nothing has come."""


class LiveTerminal(People):
    def __init__(self) -> None:
        super().__init__(_Console(markup=False, emoji=False, highlight=False))
        self._is_first = True

    def _print(self, text: str, style: str = "") -> None:
        self._is_first = False
        super()._print(text, style)

    def _heading(self, name: str) -> None:
        if not self._is_first:
            self.console.print()
        self._print(words.title(name), "bold")

    def record(self, name: str, item: "DataclassInstance") -> None:
        self._heading(name)
        self.console.print(_grid(cells(item)))

    def table(self, name: str, items: "Sequence[DataclassInstance]") -> None:
        if not items:
            return self.fact(name, "none")
        rows = [cells(item) for item in items]
        self._heading(name)
        table = draw_table(rows, Table(box=box.SIMPLE_HEAD, show_edge=False, header_style="dim"))
        needed = Measurement.get(self.console, self.console.options.update(width=10_000), table)
        if needed.minimum <= self.console.width:
            return self.console.print(table)
        for number, row in enumerate(rows):  # too narrow for a table: one block a row
            if number:
                self.console.print()
            self.console.print(_grid(row))
        return None

    def checks(self, name: str, checks: Sequence[words.Checked]) -> None:
        self._heading(name)
        grid, fixes = Table.grid(padding=(0, 2, 0, 0)), []
        for check in checks:
            row = cells(check)  # type: ignore[arg-type]  # a Check or a Gate
            mark = Text(*MARKS[words.severity(check)])
            if fix := row.pop("fix", ""):
                fixes.append(f"  {row['name']}: {fix}")
            limit = row.get("limit", "")
            observed = row["observed"] + (f" (limit: {limit})" if limit else "")
            grid.add_row(mark, Text(row["name"]), Text(observed))
        self.console.print(grid)
        for fix in fixes:
            self._print(fix, "yellow")
        worst = {words.severity(check) for check in checks}
        style = next((MARKS[s][1] for s in (words.PROBLEM, words.WARNING) if s in worst), "green")
        self._print(words.summary(checks), style)

    def progress(self, name: str, steps: Generator[Progress, None, None]) -> None:
        with self._live(expects_news=True) as live, closing(steps):
            for step in steps:
                live.show(step)
            live.finish()

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[object], None]]:
        with self._live(transient=True) as live:
            live.show(text)
            yield live.show

    def stream(self, items: "Iterable[DataclassInstance]") -> None:
        with self._live() as live:
            for item in items:
                live.show(item)

    @contextmanager
    def _live(self, transient: bool = False, expects_news: bool = False) -> "Iterator[_Line]":
        line, console = _Line(expects_news), self.console
        with Live(line, console=console, refresh_per_second=REFRESHES, transient=transient):
            yield line


class _Console(Console):
    """The cursor stays: a command that is killed could not bring it back."""

    def show_cursor(self, show: bool = True) -> bool:
        return False


class _Line:
    """What is live: the newest of what was shown, and for how long this has been going on."""

    def __init__(self, expects_news: bool) -> None:
        self._item: object = None
        self._start = self._shown_at = time.monotonic()
        self._spinner: Spinner | None = Spinner("dots")
        self._expects_news = expects_news

    def show(self, item: object) -> None:
        self._item, self._shown_at = item, time.monotonic()

    def finish(self) -> None:
        self._spinner, self._expects_news = None, False

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        item, elapsed = self._item, words.duration(int(time.monotonic() - self._start))
        if item is None:
            return
        parts: list[RenderableType] = [self._spinner] if self._spinner else []
        if isinstance(item, Progress):
            text = words.progress_line(item)
            silence = time.monotonic() - self._shown_at
            if silence > SILENT_SECONDS and self._expects_news:
                text += f", no news for {words.duration(int(silence))}"
            width = min(options.max_width - cell_len(text) - 4, BAR[1])
            if width >= BAR[0] and self._expects_news:
                parts.append(ProgressBar(1.0, words.share(item), width=width))
        elif isinstance(item, BuildProgress):
            text = f"{words.building_line(item)}, {elapsed}"
        elif isinstance(item, str):
            text = f"{item}, {elapsed}"
        else:
            yield _grid(cells(item))  # type: ignore[arg-type]  # a dataclass
            text = f"watching, {elapsed}"
            if not isinstance(item, CanaryLook):
                text += "; stop with Ctrl-C"
        grid = Table.grid(padding=(0, 1, 0, 0))
        grid.add_row(*parts, Text(clean(text)))
        yield grid


def _grid(row: dict[str, str]) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in row.items():
        grid.add_row(name, Text(text))
    return grid
