"""The entries of `tables:`, each laid over the sections that all of them share."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ragkit.errors import PlanError

TABLES = "tables"


@dataclass(frozen=True)
class Entry:
    """`sections` are those of the whole file with the entry's own fields in place of theirs;
    `number` counts from 1."""

    number: int
    sections: dict[str, Any]

    @property
    def place(self) -> str:
        """For a message, such as "tables, entry 2 (policies)"."""
        table = self.sections.get("table")
        name = table.get("name") if isinstance(table, Mapping) else None
        return f"{TABLES}, entry {self.number}" + (f" ({name})" if name else "")


def split(values: Mapping[str, Any]) -> list[Entry]:
    """One entry for each table. Raises PlanError for what is no list of sections."""
    shared = {name: section for name, section in values.items() if name != TABLES}
    given = values[TABLES]
    if not isinstance(given, list) or not given:
        found = "an empty list" if given == [] else type(given).__name__
        raise PlanError([f"{TABLES}: expected a list of tables, got {found}"])
    faults = [
        f"{TABLES}, entry {number}: expected sections, such as table and old, "
        f"got {type(entry).__name__}"
        for number, entry in enumerate(given, 1)
        if not isinstance(entry, dict)
    ]
    if "table" in shared:
        faults.insert(0, f"table beside {TABLES}: say each table in its own entry of {TABLES}")
    if faults:
        raise PlanError(faults)
    return [Entry(number, _lay_over(shared, entry)) for number, entry in enumerate(given, 1)]


def _lay_over(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Field by field; a field that is null in the entry has its default."""
    merged = dict(shared)
    for name, section in own.items():
        common = shared.get(name)
        if isinstance(common, dict) and (section is None or isinstance(section, dict)):
            merged[name] = {**common, **(section or {})}
        else:
            merged[name] = section
    return merged
