"""How values read: units, counts, money, the facts of an item, the line of a running backfill.

Notebooks and the terminal share these words.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import fields
from datetime import datetime
from math import isfinite
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from humanize import naturalsize

from ragkit.migration.backfill.progress import Progress
from ragkit.migration.schema.index import BuildProgress
from ragkit.migration.status import IN_PLACE, Status
from ragkit.migration.work.queue import EMPTY

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOTHING = "–"
SHARES = {"coverage", "overlap", "share"}
"""Fields that are shown in percent."""
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""A text of a row or a server may hold them; they would move the cursor or turn the text round."""
TITLES = {"bytes": "size", "ms": "", "usd": "cost", "seconds": "time", "minutes": "time"}
"""For units at the end of a field's name."""
OK, PROBLEM, WARNING, NOTE = "ok", "problem", "warning", "note"


@runtime_checkable
class TellsFacts(Protocol):
    """An item that says itself how it reads."""

    def facts(self) -> dict[str, str]:
        """Texts by title."""
        ...


class Checked(Protocol):
    """A Check or a Gate. A check may have a `fix`: what to do."""

    @property
    def name(self) -> str: ...
    @property
    def observed(self) -> str: ...
    @property
    def passed(self) -> bool | None: ...


def clean(text: str) -> str:
    """Control characters are shown, not obeyed."""
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def facts(item: "DataclassInstance") -> dict[str, str]:
    """The values of a dataclass as texts, by their titles."""
    if isinstance(item, Status):
        return _status(item)
    if isinstance(item, TellsFacts):
        return item.facts()
    return {title(f.name): value(f.name, getattr(item, f.name)) for f in fields(item)}


def title(name: str) -> str:
    """Without the unit, which the value has."""
    *words, last = name.split("_")
    return " ".join([*words, TITLES.get(last, last)]).strip()


def value(name: str, content: object) -> str:
    """A value as text; the field's name tells its unit: `bytes`, `usd`, `minutes`, `p95_ms`."""
    if content is None:
        return NOTHING
    if isinstance(content, bool):
        return "yes" if content else "no"
    if isinstance(content, datetime):
        return f"{content:%Y-%m-%d %H:%M:%S %Z}".strip()
    return _number(name, content) if isinstance(content, int | float) else str(content)


def _number(name: str, number: float) -> str:
    unit = "share" if name in SHARES else name.rpartition("_")[2] or name
    if name.startswith("bytes_"):
        unit = "bytes"
    if unit in UNITS:
        return UNITS[unit](number)
    if isinstance(number, int):
        return f"{number:,}"
    return f"{number:.4f}" if 0.0001 <= abs(number) < 1 else f"{number:,.4g}"


def money(usd: float) -> str:
    if 0 < usd < 0.0001:
        return "< $0.0001"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}" if usd else "$0"


def duration(seconds: float) -> str:
    """Such as "0.4 s", "12 s", "3 min", "2 h 5 min", "3 days 4 h"."""
    if seconds < 10:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours = minutes // 60
    if hours < 48:
        return f"{hours} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


UNITS: dict[str, Callable[[float], str]] = {
    "bytes": naturalsize,
    "usd": money,
    "seconds": duration,
    "minutes": lambda minutes: duration(60 * minutes),
    "ms": lambda ms: f"{ms:,.0f} ms" if ms >= 100 else f"{ms:.3g} ms",
    "share": "{:.1%}".format,
}
"""By the last word of a field's name."""


def share(step: Progress) -> float:
    return step.done / step.total if step.total else 1.0


def progress_line(step: Progress) -> str:
    """Rows, rate, time to go or taken, money, requests in flight, and why it is slow."""
    rate = f"{step.rate:,.0f}" if step.rate >= 10 else f"{step.rate:.2g}"
    parts = [
        f"{step.done:,} of {step.total:,} rows ({share(step):.0%})",
        f"{rate} rows/s" if step.rate else "",
        _time(step),
        money(step.usd) if step.usd else "",
        f"{step.in_flight:,} in flight" if step.in_flight else "",
        f"{step.workers:,} workers" if step.workers else "",
        f"slowed down: {step.waiting}" if step.waiting else "",
        f"jobs: {step.jobs}" if step.jobs.rows else "",
    ]
    return ", ".join(part for part in parts if part)


def _time(step: Progress) -> str:
    if step.rate and step.done >= step.total:
        return f"in {duration(step.seconds)}"
    return f"{duration(step.eta_seconds)} to go" if step.rate and isfinite(step.eta_seconds) else ""


def building_line(step: BuildProgress) -> str:
    return step.phase + (f" {step.done:,} of {step.total:,}" if step.total else "")


def severity(check: Checked) -> str:
    """A check that did not pass is a problem; an undecided one is a warning when there is
    something to do about it, else a note. An undecided gate is a warning."""
    if check.passed is None:
        return WARNING if getattr(check, "fix", WARNING) else NOTE
    return OK if check.passed else PROBLEM


def summary(checks: Sequence[Checked]) -> str:
    """Such as "3 problems, 2 warnings"."""
    found = [severity(check) for check in checks]
    problems, warnings = found.count(PROBLEM), found.count(WARNING)
    parts = [_count(problems, PROBLEM)] + ([_count(warnings, WARNING)] if warnings else [])
    return ", ".join(parts)


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _status(status: Status) -> dict[str, str]:
    """Without what is as it should be."""
    missing = status.old_missing
    return {
        "migration": status.migration,
        "database": status.database,
        "phase": status.phase,
        "rows done": f"{status.done:,} of {status.total:,}"
        + (f" ({status.empty:,} without text)" if status.empty else "")
        + (f" (dead letters: {status.dead_letters:,})" if status.dead_letters else ""),
        "serving": status.serving or "the app does not answer",
        **({"without an old vector": f"{missing:,} rows"} if missing else {}),
        **({"old column kept by": status.old_kept_by} if status.old_kept_by else {}),
        **({"triggers": status.triggers} if status.triggers not in (None, IN_PLACE) else {}),
        **({"queue": status.queue} if status.queue not in (None, EMPTY) else {}),
        **({"jobs": status.jobs} if status.jobs else {}),
        **({"canary": status.canary} if status.canary else {}),
        **({"control": status.control} if status.control else {}),
        "next": status.next_step,
    }
