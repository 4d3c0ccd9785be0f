"""Facts about models that the catalogue lacks or has another value for: from a params file, and as
JSON beside the function."""

import json
from collections.abc import Callable, Collection, Mapping
from datetime import date
from typing import Any

Facts = Mapping[str, Mapping[str, Any]]
"""Values of fields of `Model` by a model's name without a dimension, then by field."""
_READ: dict[str, Callable[[Any], Any]] = {
    "price_as_of": date.fromisoformat, "retires": date.fromisoformat, "shorter": tuple,
}  # fmt: skip


def facts_of(facts: Facts | None, base: str) -> dict[str, Any]:
    """Those of one model."""
    return dict((facts or {}).get(base, {}))


def dump_facts(facts: Facts) -> str:
    """JSON that load_facts reads."""
    return json.dumps(facts, default=_plain, sort_keys=True)


def load_facts(text: str) -> Facts:
    """Raises ValueError."""
    facts: dict[str, dict[str, Any]] = json.loads(text)
    for own in facts.values():
        for name, read in _READ.items():
            if name in own:
                own[name] = read(own[name])
    return facts


def _plain(value: Collection[int] | date) -> str | list[int]:
    return value.isoformat() if isinstance(value, date) else list(value)
