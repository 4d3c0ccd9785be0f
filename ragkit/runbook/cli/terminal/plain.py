"""Plain lines, for logs and pipes: no control character, one fact a line, tables of any width."""

import sys
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from ragkit.deploy.canary.decision import CanaryLook
from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.report import words
from ragkit.report.words import clean
from ragkit.runbook.cli.terminal.people import (
    People,
    cells,
    draw_table,
    without_trailing_spaces,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

UNLIMITED = 1_000_000
LINE_SECONDS = 5.0
"""Between two lines of a progress, unless another tenth is done."""


class PlainTerminal(People):
    """`prefix` begins each line."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        super().__init__(
            Console(width=UNLIMITED, color_system=None, force_terminal=False, force_jupyter=False)
        )

    def _print(self, text: str, style: str = "") -> None:
        text = "\n".join(f"{self._prefix}{line}" for line in text.split("\n"))
        try:
            print(text, flush=True)
        except UnicodeEncodeError:
            encoding = sys.stdout.encoding
            print(text.encode(encoding, "replace").decode(encoding), flush=True)

    def record(self, name: str, item: "DataclassInstance") -> None:
        self._print(f"{words.title(name)}:")
        for fact, text in cells(item).items():
            self._print(f"{fact}: {text}")

    def table(self, name: str, items: "Sequence[DataclassInstance]") -> None:
        if not items:
            return self.fact(name, "none")
        self._print(f"{words.title(name)}:")
        return self._table([cells(item) for item in items])

    def checks(self, name: str, checks: Sequence[words.Checked]) -> None:
        self._print(f"{words.title(name)}:")
        rows = []
        for check in checks:
            row = cells(check)  # type: ignore[arg-type]  # a Check or a Gate
            rows.append({"": words.severity(check), **{k: row[k] for k in row if k != "passed"}})
        if rows:
            self._table(rows)
        self._print(words.summary(checks))

    def _table(self, rows: Sequence[dict[str, str]]) -> None:
        table = draw_table(rows, Table(box=None, pad_edge=False, padding=(0, 2, 0, 0)))
        self._print(without_trailing_spaces(self.console, table))

    def progress(self, name: str, steps: Generator[Progress, None, None]) -> None:
        paced, last, said = _Pace(), None, ""
        with closing(steps):
            for step in steps:
                last = words.progress_line(step)
                if paced.is_due(int(10 * words.share(step))):
                    self._print(said := last)
        if last is not None and last != said:
            self._print(last)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[object], None]]:
        paced = _Pace()

        def report(step: object) -> None:
            if isinstance(step, BuildProgress):
                tenth = int(10 * step.done / step.total) if step.total else 0
                if paced.is_due((step.phase, tenth)):
                    self._print(clean(words.building_line(step)))
            elif isinstance(step, CanaryLook):
                if paced.is_due((step.share, step.decision)):
                    self._print(clean(str(step)))
            else:
                self._print(clean(str(step)))

        self._print(f"{clean(text)} …")
        yield report

    def stream(self, items: "Iterable[DataclassInstance]") -> None:
        for item in items:
            if isinstance(item, Progress):
                self._print(words.progress_line(item))
            else:
                self._print(" · ".join(f"{name}: {text}" for name, text in cells(item).items()))


class _Pace:
    """A line is due when another stage is reached, or after LINE_SECONDS."""

    def __init__(self) -> None:
        self._stage: object = None
        self._at = 0.0

    def is_due(self, stage: object) -> bool:
        now = time.monotonic()
        if stage == self._stage and now - self._at < LINE_SECONDS:
            return False
        self._stage, self._at = stage, now
        return True
