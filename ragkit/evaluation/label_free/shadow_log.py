"""A summary of the function's shadow mode: live questions sent to both models, from its log."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ragkit.errors import ConfigError
from ragkit.evaluation.metrics.bootstrap import Interval, bootstrap_interval
from ragkit.retrieval.shadow import EVENT


@dataclass(frozen=True)
class ShadowSummary:
    """`requests` went to both models; in `errors` of them the shadow failed. `dropped` further
    requests did not reach the shadow because its queue was full.

    `overlap` compares the rows of both answers. The times are 95th percentiles from question to
    rows, in ms. All three are None when every request failed.
    """

    requests: int
    errors: int
    dropped: int
    overlap: Interval | None
    p95_ms: float | None
    shadow_p95_ms: float | None
    commonest_error: str | None


def read_shadow_log(log: Path, model: str, shadow: str, seed: int) -> ShadowSummary:
    """Reads the function's own lines, or the output of `gcloud logging read … --format=json`.

    Other lines are ignored. Raises ConfigError when the file cannot be read, or has no line of
    this model and this shadow.
    """
    try:
        text = log.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {log}: {type(error).__name__}") from None
    lines = list(_shadow_lines(text))
    requests = [
        line for line in lines if (line.get("model"), line.get("shadow")) == (model, shadow)
    ]
    if not requests:
        pairs = sorted({f"{line.get('model')} -> {line.get('shadow')}" for line in lines})
        raise ConfigError(
            f"{log.name}: expected shadow lines of {model} -> {shadow}, "
            f"found {'only ' + ', '.join(pairs) if pairs else 'none'}"
        )
    answers = [line for line in requests if "error" not in line]
    errors = Counter(line["error"] for line in requests if "error" in line)
    overlap = bootstrap_interval(_values(answers, "overlap"), seed) if answers else None
    return ShadowSummary(
        requests=len(requests),
        errors=errors.total(),
        dropped=sum(line["dropped"] for line in requests),
        overlap=overlap,
        p95_ms=_percentile_95(answers, "ms"),
        shadow_p95_ms=_percentile_95(answers, "shadow_ms"),
        commonest_error=errors.most_common(1)[0][0] if errors else None,
    )


def _values(lines: list[dict[str, Any]], name: str) -> np.ndarray:
    return np.array([line[name] for line in lines], float)


def _percentile_95(lines: list[dict[str, Any]], name: str) -> float | None:
    return float(np.percentile(_values(lines, name), 95)) if lines else None


def _shadow_lines(text: str) -> Iterator[dict[str, Any]]:
    """The lines that the shadow wrote."""
    if text.lstrip().startswith("["):
        document = _parse_json(text)
        entries = document if isinstance(document, list) else []
    else:
        entries = [_parse_json(line) for line in text.splitlines()]
    for entry in entries:
        line = entry.get("jsonPayload", entry) if isinstance(entry, dict) else None
        if isinstance(line, dict) and line.get("event") == EVENT:
            yield line


def _parse_json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None
