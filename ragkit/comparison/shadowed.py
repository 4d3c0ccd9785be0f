"""What the function's shadow saw: live questions asked of both models, from its log."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ragkit.comparison.metrics import Interval, interval
from ragkit.errors import ConfigError
from ragkit.shadow import EVENT


@dataclass(frozen=True)
class Shadowed:
    """`requests` were asked of both models, of them `errors` failed in the shadow; `dropped` more
    found it busy. Overlap of what was shown; 95th percentiles of question to rows in ms, None
    when every one failed."""

    requests: int
    errors: int
    dropped: int
    overlap: Interval | None
    p95_ms: float | None
    shadow_p95_ms: float | None
    commonest_error: str | None


def read(log: Path, model: str, shadow: str, seed: int) -> Shadowed:
    """Of a file with the function's lines as they are, or as `gcloud logging read … --format=json`
    gives them; other lines are passed over. Raises ConfigError when none is of these models."""
    try:
        text = log.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {log}: {type(error).__name__}") from None
    lines = list(_lines(text))
    mine = [line for line in lines if (line.get("model"), line.get("shadow")) == (model, shadow)]
    if not mine:
        pairs = {f"{line.get('model')} -> {line.get('shadow')}" for line in lines}
        held = f"only of {', '.join(sorted(pairs))}" if pairs else "none at all"
        raise ConfigError(f"{log.name} has no shadow line of {model} -> {shadow}, {held}")
    answered = [line for line in mine if "error" not in line]
    errors = Counter(line["error"] for line in mine if "error" in line)
    dropped = sum(line["dropped"] for line in mine)
    worst = errors.most_common(1)[0][0] if errors else None
    if not answered:
        return Shadowed(len(mine), len(mine), dropped, None, None, None, worst)
    overlap, *times = ([line[name] for line in answered] for name in ("overlap", "ms", "shadow_ms"))
    p95, shadow_p95 = (float(np.percentile(took, 95)) for took in times)
    shared = interval(np.array(overlap), seed)
    return Shadowed(len(mine), errors.total(), dropped, shared, p95, shadow_p95, worst)


def _lines(text: str) -> Iterator[dict]:
    if text.lstrip().startswith("["):
        try:
            entries = json.loads(text)
        except ValueError:
            entries = []
    else:
        entries = [_json(line) for line in text.splitlines()]
    for entry in entries:
        line = entry.get("jsonPayload", entry) if isinstance(entry, dict) else {}
        if isinstance(line, dict) and line.get("event") == EVENT:
            yield line


def _json(line: str) -> object:
    try:
        return json.loads(line)
    except ValueError:
        return None
