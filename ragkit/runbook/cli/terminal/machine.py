"""--json: what a command shows as one JSON document, or as JSON lines where it does not end."""

import json
import math
import sys
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import fields, is_dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from ragkit.migration.backfill.progress import Progress
from ragkit.migration.plan.tables.entries import TABLES
from ragkit.report.words import PROBLEM, WARNING, Checked, severity
from ragkit.runbook.cli.stopping import MESSAGE
from ragkit.runbook.cli.terminal.errors import print_fault

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class JsonTerminal:
    """Collects the sections, and prints them at the end."""

    def __init__(self) -> None:
        self._document: dict[str, Any] = {}
        self._streams = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if error is not None and not isinstance(error, SystemExit):
            self._document["error"] = error_form(error)
        if self._document or not self._streams:
            print_json(self._document, indent=None if self._streams else 2)

    @contextmanager
    def section(self, name: str) -> Iterator[None]:
        """An object of its own in the object `tables`."""
        whole, self._document = self._document, {}
        try:
            yield
        finally:
            whole.setdefault(TABLES, {})[name] = self._document
            self._document = whole

    def line(self, text: object, name: str = "") -> None:
        if name:
            self._document[name] = str(text)

    def lines(self, name: str, texts: Iterable[str]) -> None:
        self._document[name] = list(texts)

    def faults(self, name: str, texts: Sequence[str]) -> None:
        self._document[name] = list(texts)
        for text in texts:
            print_fault(text)

    def fact(self, name: str, value: object) -> None:
        self._document[name] = data(value)

    def record(self, name: str, item: "DataclassInstance") -> None:
        self._document[name] = data(item)

    def table(self, name: str, items: "Sequence[DataclassInstance]") -> None:
        self._document[name] = data(items)

    def checks(self, name: str, checks: Sequence[Checked]) -> None:
        found = [severity(check) for check in checks]
        self._document[name] = data(checks)
        self._document |= {f"{noun}s": found.count(noun) for noun in (PROBLEM, WARNING)}

    def progress(self, name: str, steps: Generator[Progress, None, None]) -> None:
        """The last step."""
        with closing(steps):
            for step in steps:
                self._document[name] = data(step)

    @contextmanager
    def working(self, text: str) -> Iterator[Callable[[object], None]]:
        yield lambda _: None

    def stream(self, items: "Iterable[DataclassInstance]") -> None:
        self._streams = True
        if self._document:
            print_json(self._document)
            self._document = {}
        for item in items:
            print_json(data(item))


def print_json(document: object, indent: int | None = None) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=False, allow_nan=False)
    try:
        print(text, flush=True)
    except UnicodeEncodeError:  # stdout takes ASCII only
        sys.stdout.write(json.dumps(document, indent=indent, allow_nan=False) + "\n")
        sys.stdout.flush()


def error_form(error: BaseException) -> dict[str, str]:
    if isinstance(error, KeyboardInterrupt):
        return {"type": "Stopped", "message": MESSAGE}
    return {"type": type(error).__name__, "message": str(error)}


def data(value: object) -> Any:
    """What JSON can hold: dataclasses as objects, times in ISO 8601, NaN and infinity as null."""
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: data(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): data(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [data(item) for item in value]
    return _scalar(value)


def _scalar(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, date):  # a datetime too
        return value.isoformat()
    return value if isinstance(value, str | int | float | None) else str(value)
