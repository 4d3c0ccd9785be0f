"""The interface by which commands show their results, and the choice of its three forms.

In a terminal: tables, colours and one live line. Elsewhere, and with NO_COLOR or TERM=dumb: plain
lines without control characters. With --json: one JSON document on stdout, nothing else.
"""

import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, Self

from ragkit.migration.backfill.progress import Progress
from ragkit.migration.work.task import line_prefix
from ragkit.report.words import Checked

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed import DataclassInstance


class Terminal(Protocol):
    """`name` is the title of a section, and its key in the JSON document."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: "TracebackType | None",
    ) -> None:
        """Prints the JSON document, with the error if there is one."""
        ...

    def section(self, name: str) -> AbstractContextManager[None]:
        """What is shown meanwhile is about the table `name`, one of several."""
        ...

    def line(self, text: object, name: str = "") -> None:
        """A sentence, or a command to copy; in the JSON document when it has a name."""
        ...

    def lines(self, name: str, texts: Iterable[str]) -> None:
        """Sentences, each as soon as it comes."""
        ...

    def faults(self, name: str, texts: Sequence[str]) -> None:
        """Each is a line on stderr, FAULT: and the text."""
        ...

    def fact(self, name: str, value: object) -> None:
        """One value; its unit is told by the name, as in `bytes` or `usd`."""
        ...

    def record(self, name: str, item: "DataclassInstance") -> None:
        """A dataclass, one fact a line."""
        ...

    def table(self, name: str, items: "Sequence[DataclassInstance]") -> None:
        """Dataclasses of one class, one row each; "none" without any."""
        ...

    def checks(self, name: str, checks: Sequence[Checked]) -> None:
        """Checks or gates, what to do about them, and a line such as "3 problems, 2 warnings"."""
        ...

    def progress(self, name: str, steps: Generator[Progress, None, None]) -> None:
        """Follows a backfill in one live line. Closes the generator in any case."""
        ...

    def working(self, text: str) -> AbstractContextManager[Callable[[object], None]]:
        """Shows that something takes its time. What it gives is called with each BuildProgress, or
        with a text that replaces `text`."""
        ...

    def stream(self, items: "Iterable[DataclassInstance]") -> None:
        """Items without an end: the newest in place of the one before, or a line for each."""
        ...


def open_terminal(as_json: bool) -> Terminal:
    """The form that fits stdout."""
    if as_json:
        from ragkit.runbook.cli.terminal.machine import JsonTerminal

        return JsonTerminal()
    if is_rich():
        from ragkit.runbook.cli.terminal.live import LiveTerminal

        return LiveTerminal()
    from ragkit.runbook.cli.terminal.plain import PlainTerminal

    return PlainTerminal(line_prefix())


def is_rich() -> bool:
    """Whether stdout shows colours and can be redrawn."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") in ("dumb", "unknown")
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return sys.stdout.isatty() and is_unicode and not plain
