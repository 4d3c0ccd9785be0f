"""The sections of a params file of two tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.conftest import make_plan

NAMES = ("Amenities", "Policies")


def two_tables(
    changes: Mapping[str, Any] | None = None,
    entries: Sequence[Mapping[str, Any]] = ({}, {}),
) -> dict[str, Any]:
    """`changes` are shared; `entries` are the other sections of each table."""
    shared = make_plan(changes).model_dump(mode="json", by_alias=True)
    table = shared.pop("table")
    return {
        **shared,
        "tables": [
            {"table": {**table, "name": name}, **entry}
            for name, entry in zip(NAMES, entries, strict=True)
        ],
    }
